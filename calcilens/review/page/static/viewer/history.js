/** What was done, to be undone and done again: measurements, drawing, edits. */

const MOST = 200;

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.done = [];
    this.undone = [];
  }

  /** Keep a step that has just been done. */
  push(undo, redo) {
    this.done.push({ undo, redo });
    if (this.done.length > MOST) this.done.shift();
    this.undone = [];
  }

  /** @returns {boolean} whether there was something to undo */
  undo() {
    const step = this.done.pop();
    if (!step) return false;
    step.undo();
    this.undone.push(step);
    return true;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return false;
    step.redo();
    this.done.push(step);
    return true;
  }
}
