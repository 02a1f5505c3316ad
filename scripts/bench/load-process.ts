/** The load process: one run of one case against one server, its figures as JSON on standard output. */

import { setPriority } from 'node:os'
import { findCase } from './cases.ts'
import { Load, type Task } from './load.ts'

const task: Task = JSON.parse(process.argv[2] ?? '{}')
const found = findCase(task.case)
const load = new Load(task)
if (task.role === 'assist') {
  // The assistant measures latency: it must be woken before the bulk of the load gets on with its reading.
  try {
    setPriority(-10)
  } catch {
    // Without the right to raise it the latencies include the wait for the core, on both sides alike.
  }
}
const part = task.role === 'run' ? found.run(load) : found.assist?.(load)
if (part === undefined) throw new Error(`the case ${task.case} has no ${task.role}`)
try {
  const measured = await part
  const figures = JSON.stringify(task.role === 'run' ? { ...load.cost(measured), ...measured } : measured)
  // To its end: what does not fit into a pipe at once would be cut off by the exit.
  await Bun.write(Bun.stdout, figures)
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
