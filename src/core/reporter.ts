/** Tells those who watch. What a watcher or an application throws is logged here and goes no further. */
import type { Application, ErrorStage } from './application.ts'
import type { Log } from './log.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Observer } from './observer.ts'

export class Reporter {
  private readonly log: Log
  private readonly observers: readonly Observer[]
  private readonly application: Application

  constructor(log: Log, observers: readonly Observer[], application: Application) {
    this.log = log
    this.observers = observers
    this.application = application
  }

  /** Tells every observer. */
  tell(event: (observer: Observer) => void): void {
    for (const observer of this.observers) {
      try {
        event(observer)
      } catch (error) {
        this.log.error('observer_failed', { error })
      }
    }
  }

  /** Runs an application's hooks one after the other; what one throws does not keep the next from running. */
  async run<H>(stage: ErrorStage, hooks: readonly H[], call: (hook: H) => MaybePromise<void>): Promise<void> {
    for (const hook of hooks) {
      try {
        await call(hook)
      } catch (error) {
        this.report(error, stage)
      }
    }
  }

  /** Reports what an application threw, to the log and to its own hook. */
  report(error: unknown, stage: ErrorStage): void {
    this.log.error('application_error', { stage, error })
    for (const hook of this.application.hooks.onError) {
      try {
        hook(error, { stage })
      } catch (inner) {
        this.log.error('application_error', { stage: 'error', error: inner })
      }
    }
  }
}
