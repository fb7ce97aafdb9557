// The screen stays on while the wallboard is shown, where the browser can do that.

import { useEffect } from "../../vendor/ui.js";

/** In a component: asks for it, again each time the page comes back into sight. */
export function useAwake() {
  useEffect(() => {
    /** @type {WakeLockSentinel | null} */
    let lock = null;
    let isOver = false;
    const ask = async () => {
      if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) {
        return;
      }
      // Refused on an empty battery, say: then the screen goes off as it does otherwise.
      lock = await navigator.wakeLock.request("screen").catch(() => null);
      if (isOver) {
        lock?.release();
      }
    };
    ask();
    document.addEventListener("visibilitychange", ask);
    return () => {
      isOver = true;
      document.removeEventListener("visibilitychange", ask);
      lock?.release();
    };
  }, []);
}
