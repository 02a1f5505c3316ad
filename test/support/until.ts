/** Milliseconds between two looks at something that tells nobody when it changes. */
const LOOK_MS = 5
/** Milliseconds after which it has not come. */
const PATIENCE_MS = 15_000

/** Resolves when the condition holds; rejects, naming it, where it does not come to hold. */
export async function until(condition: () => boolean | Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
  const end = performance.now() + patienceMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never came to be: ${condition}`)
    await Bun.sleep(LOOK_MS)
  }
}
