/**
 * Small questions to Redis, asked as one command: what is asked in one turn of the event loop goes together. A command for
 * each would cost this process several times what the question costs Redis.
 */

/** Questions in one command: more would hold up what others ask. */
const MAX_TOGETHER = 128

interface Waiting<Question, Answer> {
  readonly question: Question
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

export class Gathered<Question, Answer> {
  private readonly askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>
  private waiting: Waiting<Question, Answer>[] = []

  /** @param askAll answers in the order of the questions; where it rejects, all of them have failed. */
  constructor(askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.askAll = askAll
  }

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ question, resolve, reject })
      if (this.waiting.length === 1) setImmediate(() => this.flush())
    })
  }

  private flush(): void {
    const { waiting } = this
    this.waiting = []
    for (let n = 0; n < waiting.length; n += MAX_TOGETHER) void this.send(waiting.slice(n, n + MAX_TOGETHER))
  }

  private async send(some: readonly Waiting<Question, Answer>[]): Promise<void> {
    try {
      const answers = await this.askAll(some.map(({ question }) => question))
      for (const [n, { resolve }] of some.entries()) resolve(answers[n] as Answer)
    } catch (error) {
      for (const { reject } of some) reject(error)
    }
  }
}
