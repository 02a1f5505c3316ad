/** What is stored nowhere and needs no Redis: a room of one instance in which somebody speaks and somebody hears. */
import { until } from '../../support/until.ts'
import { must } from '../fault.ts'
import { Hearing } from '../hearing.ts'
import type { FaultServer } from '../server.ts'

export class Whispers implements Disposable {
  private readonly speaker: Hearing
  private readonly listener: Hearing
  private said = 0

  private constructor(speaker: Hearing, listener: Hearing) {
    this.speaker = speaker
    this.listener = listener
  }

  static async open(server: FaultServer): Promise<Whispers> {
    const room = `whispers-${server.pid}`
    const enter = async (user: string) =>
      Hearing.open('websocket', { url: server.url, token: await server.token({ user }), query: { rooms: room } })
    const [speaker, listener] = [await enter('speaker'), await enter('listener')]
    must(listener.welcome.rooms.length === 1, 'nobody may whisper')
    return new Whispers(speaker, listener)
  }

  /** Resolves when so many more were said and heard, each once. */
  async goOn(count: number): Promise<void> {
    const { speaker, listener } = this
    const to = { room: speaker.welcome.rooms[0]?.room }
    const from = this.said
    for (let n = 0; n < count; n++) speaker.say({ type: 'whisper', to, ephemeral: true, payload: this.said++ })
    const heard = () => listener.frames.filter(({ type }) => type === 'whisper').map(({ payload }) => Number(payload))
    await until(() => heard().at(-1) === this.said - 1)
    const missed = Array.from({ length: count }, (_, n) => from + n).filter((n) => !heard().includes(n))
    must(missed.length === 0, `${missed.length} of ${count} were not heard by whoever is on the same instance`)
    must(heard().length === this.said, `${heard().length} were heard, ${this.said} said`)
    must(!speaker.ended && !listener.ended, 'whoever whispered lost the connection')
  }

  [Symbol.dispose](): void {
    this.speaker.cut()
    this.listener.cut()
  }
}
