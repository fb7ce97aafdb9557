// What cannot be told of a server, why, and the line for manager.conf that would allow it.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** @typedef {{ kind: string, needs: string, manager_conf: string | null }} Lack */

/** @param {{ missing: Lack[] | null }} props */
export function Missing({ missing }) {
  if (!missing || missing.length === 0) {
    return null;
  }
  /** @type {Map<string, Lack & { kinds: string[] }>} */
  const reasons = new Map();
  for (const lack of missing) {
    const same = reasons.get(lack.needs) ?? { ...lack, kinds: [] };
    same.kinds.push(t(`kinds.${lack.kind}`));
    reasons.set(lack.needs, same);
  }
  return html`
    <details class="missing">
      <summary>${t("servers.missing", { count: missing.length })}</summary>
      <ul>
        ${[...reasons.values()].map(
          ({ kinds, needs, manager_conf: line }) => html`
            <li key=${needs}>
              <strong>${kinds.join(", ")}</strong>: ${t("servers.needs", { needs })}
              ${line && html`<code>${line}</code>`}
            </li>
          `,
        )}
      </ul>
    </details>
  `;
}
