/**
 * A jukebox: the guests of a bar ask for tracks and vote, whoever has the role `dj` plays the one with the most votes.
 * Each bar is a room.
 *
 *   tidings serve --dev --app examples/jukebox.ts
 */
import { TidingsError, tidings } from 'tidings'
import { Type } from 'typebox'

interface Track {
  readonly title: string
  readonly askedBy: string
  readonly votes: Set<string>
}

/** Tracks that wait, in the order in which they were asked for, by room. */
const lists = new Map<string, Track[]>()

const Title = Type.String({ minLength: 1, maxLength: 200 })

export default tidings()
  .use(async (ctx, next) => {
    const began = performance.now()
    await next()
    ctx.log.debug({ ms: performance.now() - began })
  })
  .on('ask_for', { payload: Type.Object({ title: Title }), room: 'member' }, async ({ payload, room, user }) => {
    const list = lists.get(room.name) ?? []
    lists.set(room.name, list)
    if (list.some(({ title }) => title === payload.title)) {
      throw new TidingsError('invalid_message', 'This track is on the list already')
    }
    list.push({ title: payload.title, askedBy: user.id, votes: new Set([user.id]) })
    await room.publish('track_asked_for', { title: payload.title, by: user.id })
    return { position: list.length }
  })
  .on('vote', { payload: Type.Object({ title: Title }), room: 'member' }, async ({ payload, room, user }) => {
    const track = lists.get(room.name)?.find(({ title }) => title === payload.title)
    if (track === undefined) throw new TidingsError('not_found', 'This track is not on the list')
    track.votes.add(user.id)
    await room.broadcast('track_voted_for', { title: track.title, votes: track.votes.size })
    return { votes: track.votes.size }
  })
  .on('play_next', { room: { role: 'dj' } }, async ({ room, publish }) => {
    const list = lists.get(room.name) ?? []
    const [next] = [...list].sort((a, b) => b.votes.size - a.votes.size)
    if (next === undefined) throw new TidingsError('not_found', 'The list is empty')
    list.splice(list.indexOf(next), 1)
    await room.publish('now_playing', { title: next.title })
    await publish({ user_id: next.askedBy }, 'your_track_plays', { title: next.title })
    return { title: next.title }
  })
  .on('clear', { room: { role: 'dj' } }, async ({ room, emitWithAck }) => {
    const waiting = lists.get(room.name)?.length ?? 0
    const sure = await emitWithAck('are_you_sure', { waiting }, { timeoutMs: 5000 })
    if (sure === true) lists.delete(room.name)
    return { cleared: sure === true }
  })
