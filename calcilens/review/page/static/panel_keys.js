// Keys of the reading panel; those of the viewer are in keys.js. `keys` as KeyboardEvent.key has them.

/** @type {{group: string, keys: string[], command: string, label: string}[]} */
export const PANEL_KEYS = [
  { group: "Reading", keys: ["]"], command: "next-lesion", label: "Next lesion" },
  { group: "Reading", keys: ["["], command: "previous-lesion", label: "Previous lesion" },
  { group: "Reading", keys: ["u"], command: "next-open", label: "Next lesion to do" },
  { group: "Reading", keys: ["M"], command: "missed", label: "Add a missed lesion" },
  { group: "Reading", keys: ["y"], command: "calcified", label: "Calcification: go to the patterns" },
  { group: "Reading", keys: ["x"], command: "not-calcified", label: "Not a calcification" },
  { group: "Reading", keys: ["a"], command: "agree", label: "Agree with the model" },
  { group: "Reading", keys: ["k"], command: "keep", label: "Keep mine" },
  { group: "Reading", keys: ["c"], command: "change", label: "Change the answer" },
  { group: "Reading", keys: ["ctrl+Enter"], command: "save", label: "Commit or save the answer" },
  { group: "Reading", keys: ["ctrl+shift+Enter"], command: "sign", label: "Sign the study" },
  { group: "Reading", keys: ["Escape"], command: "leave", label: "From the form back to the images" },
];

/** Keys of the worklist, for the help there. */
export const WORKLIST_KEYS = [
  { group: "Worklist", keys: ["ArrowDown", "j"], command: "down", label: "Next study" },
  { group: "Worklist", keys: ["ArrowUp", "k"], command: "up", label: "Previous study" },
  { group: "Worklist", keys: ["Enter"], command: "open", label: "Open the study" },
  { group: "Worklist", keys: ["t"], command: "take", label: "Take the study and open it" },
  { group: "Worklist", keys: ["/"], command: "search", label: "Search" },
];

/** The key that was pressed, as the lists write it. */
export function pressed(event) {
  const held = [(event.ctrlKey || event.metaKey) && "ctrl", event.altKey && "alt"].filter(Boolean);
  if (event.shiftKey && event.key.length > 1) held.push("shift");
  return [...held, event.key].join("+");
}
