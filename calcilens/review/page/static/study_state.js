// What stage a lesion and a study are at, from the study as the server gives it. Pure.

export const NEW = "new";

/**
 * What the reader does next on a lesion: "blind" commit an answer; "compare" look at the model's beside
 * it; "verdict" give one at once; "saved" it has one; "settle" an adjudicator; "closed" only look.
 */
export function phase(study, lesion) {
  if (study.mine === "settling") return lesion.disputed ? "settle" : "closed";
  if (study.mine !== "reading") return "closed";
  if (lesion.mine) return "saved";
  if (!lesion.revealed) return "blind";
  return lesion.committed ? "compare" : "verdict";
}

/** Number of the entry that a new verdict replaces; 0 where there is none. */
export function basis(study, lesion) {
  const last = study.mine === "settling" ? lesion.settled : lesion.mine;
  return last?.seq ?? 0;
}

/** The answer that a form starts from. */
export function start(study, lesion) {
  if (study.mine === "settling") return lesion.settled?.answer ?? null;
  return lesion.mine?.answer ?? lesion.committed?.answer ?? null;
}

/** A lesion's state in words, with a sign, for the list. */
export function standing(study, lesion) {
  if (study.mine === "settling") return settling(lesion);
  if (lesion.settled) return { sign: "✓", words: "settled", done: true };
  if (lesion.mine) return { sign: "✓", words: lesion.added_by ? "added" : "verdict saved", done: true };
  if (lesion.committed) return { sign: "½", words: "committed, verdict wanted", done: false };
  if (study.mine === "reading") return { sign: "○", words: "to answer", done: false };
  return lesion.added_by ? { sign: "+", words: `added by ${lesion.added_by}`, done: true } : { sign: "·", words: "", done: true };
}

function settling(lesion) {
  if (lesion.settled) return { sign: "✓", words: "settled", done: true };
  return lesion.disputed ? { sign: "≠", words: "readers differ", done: false } : { sign: "=", words: "readers agree", done: true };
}

/** Lesions that keep the study from being signed. */
export const missing = (study) => study.lesions.filter((lesion) => !standing(study, lesion).done);

/** Whether two answers say the same on what is compared: calcified, patterns, concern. */
export function differences(a, b) {
  const set = (answer) => [...answer.patterns].sort().join();
  const both = (part) => a[part] !== undefined && b[part] !== undefined;
  return {
    calcified: both("calcified") && a.calcified !== b.calcified,
    patterns: both("patterns") && set(a) !== set(b),
    concern: both("concern") && a.concern !== b.concern,
  };
}

/** What the model says, part by part; what it does not answer is undefined. */
export function modelSays(model) {
  const calcified = known(model.finding) ? model.finding.probability >= 0.5 : undefined;
  const level = model.concern?.level;
  const shows = known(model.pattern) ? [likeliest(model.pattern)] : undefined;
  return {
    calcified,
    patterns: calcified === false ? [] : shows,
    concern: level && level !== "unknown" ? level : undefined,
  };
}

/**
 * The model's answer as a reader would give it: on what the model does not answer, the reader's own stays.
 * @param {object} model @param {object|null} own the reader's answer so far
 */
export function modelAnswer(model, own) {
  const kept = own ?? {};
  const says = modelSays(model);
  const calcified = says.calcified ?? kept.calcified ?? null;
  return {
    calcified,
    patterns: calcified ? (says.patterns ?? kept.patterns ?? []) : [],
    concern: says.concern ?? kept.concern ?? null,
    confidence: kept.confidence ?? 3,
    comment: kept.comment ?? "",
    box: kept.box ?? null,
    mask: kept.mask ?? null,
  };
}

const known = (part) => Boolean(part) && !part.abstained && (part.probability ?? part.probabilities ?? null) !== null;

/** The pattern with the highest probability. */
export function likeliest(pattern) {
  return Object.entries(pattern.probabilities ?? {}).sort((a, b) => b[1] - a[1])[0]?.[0];
}

/**
 * What was drawn on a lesion, for the viewer: what is in hand, else what is saved, and what others drew.
 * @param {object|null} lesion null for one that is being added
 * @param {{box: any, mask: string|null}|null} inHand outline of the form
 * @param {{image: number, box: any}|null} where a lesion that is being added lies
 */
export function outlines(lesion, inHand, where) {
  const image = lesion?.image ?? where?.image;
  if (image === undefined) return [];
  const own = inHand ?? lesion?.mine?.answer ?? lesion?.committed?.answer;
  const others = lesion?.others.map(({ reader, answer }) => ({ name: reader, ...answer })) ?? [];
  if (lesion?.settled) others.push({ name: "settled", ...lesion.settled.answer });
  const given = [{ name: "yours", ...own }, ...others].filter(({ box, mask }) => box && (mask || !same(box, lesion?.box)));
  return given.map(({ name, box, mask }) => ({ image, box, mask, name }));
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Where a lesion lies, in the numbers that the images carry. */
export function place(study, lesion) {
  const image = study.images.find((one) => one.n === lesion.image);
  if (!image) return "";
  if (image.kind === "film") return image.label;
  const number = (z) => image.numbers?.[z] ?? z + 1;
  const ends = [number(lesion.box[0][0]), number(lesion.box[1][0] - 1)];
  const [first, last] = ends.sort((a, b) => a - b); // a scanner may count from either end
  return first === last ? `image ${first}` : `images ${first}–${last}`;
}
