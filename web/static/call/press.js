/** What a press is meant for: the page moves under the pointer when a notice comes or goes, and the second
 *  press of a double click would hit what has come to lie there, "Repeat" or "Skip" below "Send". */

/** The usual time of a double click. */
const DOUBLE_MS = 500;
const SAME_PLACE_PX = 8;
const CONTROL = "button, summary, a, input, select, textarea, label";

/** Let a press that follows another at once, at the same place and on another control, do nothing. */
export function guardDoublePresses() {
  let last = null;
  const press = (event) => {
    if (event.detail === 0) return; // by keyboard, or a program: there is no place
    const control = event.target.closest(CONTROL);
    if (last !== null && control !== last.control && isDouble(last.event, event)) {
      event.preventDefault();
      event.stopPropagation();
    } else {
      last = { event, control };
    }
  };
  addEventListener("click", press, { capture: true });
}

function isDouble(first, second) {
  const apart = Math.hypot(second.clientX - first.clientX, second.clientY - first.clientY);
  return second.timeStamp - first.timeStamp < DOUBLE_MS && apart < SAME_PLACE_PX;
}
