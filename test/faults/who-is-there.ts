import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { type Chance, type Fault, must, none } from './fault.ts'
import { Hearing, TRANSPORTS } from './hearing.ts'
import { FaultServer } from './server.ts'
import { Told } from './told.ts'

interface Size {
  readonly users: number
  /** Comings and goings of each device. */
  readonly moves: number
}

const DEVICES_EACH = 2
const POLL_GRACE_MS = 300
/** Milliseconds for which a lost connection's user stays, in half of the runs. */
const GRACE_MS = 100

export const whoIsThere: Fault<Size> = {
  number: 13,
  title: 'who is there is told once and truly, through several devices, cuts, takeovers and changes of transport',
  short: { users: 15, moves: 16 },
  long: { users: 30, moves: 1000 },

  async run({ users, moves }, chance) {
    const grace_ms = chance.pick([0, GRACE_MS])
    await using server = await FaultServer.start({
      config: { presence: { grace_ms }, poll: { grace_ms: POLL_GRACE_MS } },
    })
    const told = new Told()
    const watcher = await Hearing.open('websocket', {
      url: server.url,
      token: await server.token({ user: 'watcher' }),
      query: { rooms: 'lobby' },
      onFrame: (frame) => told.hear(frame),
    })
    const devices: Mover[] = []
    for (let n = 0; n < users * DEVICES_EACH; n++) {
      const user = `u${n % users}`
      devices.push(new Mover(server.url, user, await server.token({ user, device: `d${n}` }), chance))
    }
    await Promise.all(
      devices.map(async (device) => {
        for (let n = 0; n < moves; n++) await device.move()
      }),
    )
    const there = () => new Set(devices.flatMap(({ isThere, user }) => (isThere ? [user] : [])))
    const state = async () => payloadOf(await watcher.ask({ type: 'get_room_state', payload: { room: 'lobby' } }))
    const names = (list: Iterable<string>) => [...list].sort().join(' ')
    // Polls are missed after a while, and so is who may still come back.
    await until(async () => Number((await state())['participant_count']) === there().size + 1)
    await until(async () => {
      await watcher.ask({ type: 'ping' })
      return names(told.here) === names(there())
    })
    const { participants } = await state()
    const listed = (participants as { id: string }[]).map(({ id }) => id).filter((id) => id !== 'watcher')
    must(names(listed) === names(there()), `listed: ${names(listed)}; there: ${names(there())}`)
    none('the others were told', told.breaches)

    for (const device of devices) device.leave()
    await until(async () => (await server.status()).connections === 1)
    await until(() => told.here.size === 0)
    none('the others were told', told.breaches)
    watcher.cut()
    const made = devices.reduce((sum, { moved }) => sum + moved, 0)
    return { grace_ms, moves: made, joined: told.joined }
  },
}

/** A device that comes, goes, is cut, and comes back in its own place. */
class Mover {
  readonly user: string
  moved = 0
  private readonly url: string
  private readonly token: string
  private readonly chance: Chance
  private hearing: Hearing | undefined
  private former: string | undefined

  constructor(url: string, user: string, token: string, chance: Chance) {
    this.url = url
    this.user = user
    this.token = token
    this.chance = chance
  }

  get isThere(): boolean {
    return this.hearing !== undefined
  }

  async move(): Promise<void> {
    this.moved++
    const { chance, hearing } = this
    if (hearing === undefined) await this.come()
    else if (chance.below(3) === 0) {
      // In its own place, while the former connection is still there or has just gone.
      if (chance.below(2) === 0) hearing.cut()
      await this.come()
      hearing.cut()
    } else this.leave()
    // Away for longer than there, or its user would never have left.
    await Bun.sleep(chance.below(this.isThere ? 10 : 300))
  }

  leave(): void {
    if (this.hearing !== undefined) this.former = this.hearing.connectionId
    this.hearing?.cut()
    this.hearing = undefined
  }

  private async come(): Promise<void> {
    const { chance, url, token } = this
    const former = this.hearing?.connectionId ?? this.former
    const query = { rooms: 'lobby', ...(former !== undefined && chance.below(3) > 0 && { resume: former }) }
    this.hearing = await Hearing.open(chance.pick(TRANSPORTS), { url, token, query, holdS: 1 })
  }
}
