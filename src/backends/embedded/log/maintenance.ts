/** The store's housekeeping: a little at a time, so that nothing ever takes long. */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Answers } from './answers.ts'
import type { SqliteMessageLog } from './message-log.ts'
import type { DevicePositions } from './positions.ts'
import type { StoredRevocations } from './revocations.ts'
import type { StoredRoomStates } from './room-states.ts'
import type { Topics } from './topics.ts'
import type { Trimmer } from './trimmer.ts'

export interface MaintenanceParts {
  readonly log: SqliteMessageLog
  readonly clock: CursorClock
  readonly wallMs: () => number
  readonly topics: Topics
  readonly trimmer: Trimmer
  readonly answers: Answers
  readonly positions: DevicePositions
  readonly states: StoredRoomStates
  readonly revocations: StoredRevocations
  readonly horizonMs: number
  /** Milliseconds from one step to the next. */
  readonly everyMs: number
}

/** Topics that one step looks at: less than a millisecond. */
const TOPICS_PER_STEP = 256
/** Steps between two walks over all topics: what is too old is gone a minute later, or when somebody would read it. */
const STEPS_BETWEEN_WALKS = 60
/** Steps without a message after which time gets a cursor. */
const STEPS_TO_ADVANCE = 60

export class Maintenance {
  private readonly parts: MaintenanceParts
  private readonly timer: ReturnType<typeof setInterval>
  private walkedTo = 0
  private restSteps = 0
  private idleSteps = 0
  private head: number

  constructor(parts: MaintenanceParts) {
    this.parts = parts
    this.head = parts.log.head()
    this.timer = setInterval(() => this.step(), parts.everyMs)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private step(): void {
    const { answers, log, positions, revocations, states, wallMs } = this.parts
    log.inBackground(() => {
      answers.prune(wallMs())
      positions.forget()
      states.drop()
      revocations.drop()
      this.walk()
    })
    this.idleSteps = log.head() === this.head ? this.idleSteps + 1 : 0
    this.head = log.head()
    if (this.idleSteps >= STEPS_TO_ADVANCE) {
      this.idleSteps = 0
      log.advance()
    }
  }

  /** Finds topics with messages that are too old, and forgets those that nobody could miss anything in. */
  private walk(): void {
    if (this.restSteps > 0) {
      this.restSteps--
      return
    }
    const { clock, horizonMs, topics, trimmer, wallMs } = this.parts
    const page = topics.after(this.walkedTo, TOPICS_PER_STEP)
    for (const topic of page) {
      if (topic.oldestAt === null) {
        if (topic.trimmed < clock.now() - horizonMs * 1000) topics.forget(topic)
      } else if (topic.oldestAt < wallMs() - topic.maxAgeMs) {
        trimmer.request(topic.name, false)
      }
    }
    this.walkedTo = page.at(-1)?.id ?? 0
    if (page.length < TOPICS_PER_STEP) {
      this.walkedTo = 0
      this.restSteps = STEPS_BETWEEN_WALKS
    }
  }
}
