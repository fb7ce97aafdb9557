// What draws the page: Preact, its hooks, htm and signals.

import htm from "htm";
import { h } from "preact";

/** Elements as tagged templates: html`<p class=${name}>${text}</p>`; values are never HTML. */
export const html = htm.bind(h);

export { Component, createContext, createRef, Fragment, h, render } from "preact";
export {
  useCallback,
  useContext,
  useEffect,
  useErrorBoundary,
  useId,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "preact/hooks";
export {
  batch,
  computed,
  effect,
  signal,
  Signal,
  untracked,
  useComputed,
  useSignal,
  useSignalEffect,
} from "@preact/signals";
