// Which studies of the worklist are shown, and in which order. Pure: state in, list out.

const RANK = { low: 1, intermediate: 2, high: 3 };
const STATE = { disputed: 1, reading: 2, waiting: 3, new: 4, done: 5 };
const VALUE = {
  concern: (study) => RANK[study.concern] ?? null,
  teaches: (study) => study.uncertainty,
  date: (study) => study.study_date,
  modality: (study) => study.modalities.join(),
  state: (study) => STATE[study.state],
  lesions: (study) => study.lesions,
  holders: (study) => study.holders.join() || null,
};
/** The way round in which a column is first sorted: what matters most on top. */
const FIRST = { concern: "down", teaches: "down", date: "down", lesions: "down" };
const BARE = { sort: "teaches", way: "down", state: "", modality: "", mine: "", search: "" };

/** State of the list from an address's search part. */
export function fromAddress(search) {
  const given = Object.fromEntries(new URLSearchParams(search));
  const view = { ...BARE, ...Object.fromEntries(Object.entries(given).filter(([name]) => name in BARE)) };
  return view.sort in VALUE ? view : { ...view, sort: BARE.sort, way: BARE.way };
}

/** The search part of the address for a state; only what differs from the bare list. */
export function toAddress(view) {
  const differs = Object.entries(view).filter(([name, value]) => value !== BARE[name]);
  const text = new URLSearchParams(differs).toString();
  return text ? `?${text}` : location.pathname;
}

/** The state after a click on a column's head. */
export function sorted(view, column) {
  const first = FIRST[column] ?? "up";
  const other = first === "up" ? "down" : "up";
  return { ...view, sort: column, way: view.sort === column && view.way === first ? other : first };
}

/** Studies that pass the filters, sorted; what has no value comes last either way. */
export function chosen(studies, view) {
  const wanted = studies.filter(
    (study) =>
      (!view.state || study.state === view.state) &&
      (!view.modality || study.modalities.includes(view.modality)) &&
      (!view.mine || study.mine) &&
      study.study_uid.includes(view.search.trim()),
  );
  const value = VALUE[view.sort];
  return wanted.sort((a, b) => compared(value(a), value(b), view.way) || (a.study_uid < b.study_uid ? -1 : 1));
}

function compared(a, b, way) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return (a < b) === (way === "up") ? -1 : 1;
}
