/** React Native has no workers, and its engine knows no address of a module. */
export const WORKER = null;
