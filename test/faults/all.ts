/** Every fault, in the order of their numbers. */
import { cutAndResume } from './cut-and-resume.ts'
import type { Fault } from './fault.ts'

export const FAULTS: readonly Fault<never>[] = [cutAndResume].sort((a, b) => a.number - b.number) as never
