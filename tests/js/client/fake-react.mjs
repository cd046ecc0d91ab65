/** As much of React as one component with hooks takes, rendered anew when its state changes. */
let slots;
let at;
let effects;

const next = (make) => {
  const place = at++;
  return slots[place] ?? (slots[place] = make());
};
const differ = (before, now) => !before || now.some((value, index) => !Object.is(value, before[index]));

export const createElement = (type, props, ...children) => ({ type, props, children: children.flat() });
export const useRef = (current) => next(() => ({ current }));

export function useState(initial) {
  const slot = next(() => ({ value: initial }));
  slot.set ??= (value) => (slot.value = typeof value === 'function' ? value(slot.value) : value);
  return [slot.value, slot.set];
}

export function useCallback(callback, deps) {
  const slot = next(() => ({}));
  if (differ(slot.deps, deps)) Object.assign(slot, { callback, deps });
  return slot.callback;
}

export function useEffect(effect, deps) {
  const slot = next(() => ({}));
  if (differ(slot.deps, deps)) effects.push(() => (slot.end?.(), (slot.end = effect())));
  slot.deps = deps;
}

export function mount(component) {
  const own = [];
  return {
    render() {
      [slots, at, effects] = [own, 0, []];
      const tree = component();
      effects.forEach((run) => run());
      return tree;
    },
    unmount: () => own.forEach(({ end }) => end?.()),
  };
}
