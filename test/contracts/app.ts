/** Handlers that the contract suites call, in this process and in the compiled binary. */
import { TidingsError, tidings } from 'tidings'
import { Type } from 'typebox'

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export default tidings()
  .on('echo', ({ payload }) => payload)
  .on('nothing', () => {})
  .on('slow_echo', { payload: Type.Object({ n: Type.Integer(), ms: Type.Number() }) }, async ({ payload }) => {
    if (payload.ms > 0) await wait(payload.ms)
    return payload.n
  })
  .on('throws', () => {
    throw new Error('on purpose: /etc/passwd')
  })
  .on('rejects', async () => {
    await wait(1)
    throw new Error('on purpose: /etc/passwd')
  })
  .on('refuses', () => {
    throw new TidingsError('version_conflict', 'Somebody was faster', { details: { version: 7 } })
  })
  .on('never', () => new Promise(() => {}))
  .on('late', async () => {
    await wait(1300)
    return 'too late'
  })
  .on('vote', { payload: Type.Object({ track: Type.String() }), room: 'member' }, ({ payload, room, user }) => {
    room.broadcast('voted', { track: payload.track, by: user.id })
    return { accepted: true }
  })
  .on('announce', { room: 'member' }, ({ room }) => room.publish('announced', { room: room.name }))
  .on('rule', { room: 'admin' }, () => 'ruled')
  .on('spin', { room: { role: 'dj' } }, () => 'spun')
  .on('whisper', ({ publish, payload, user }) => publish({ user_id: String(payload) }, 'whispered', user.id))
  .on('ask_me', ({ emitWithAck, payload }) => emitWithAck('question', payload, { timeoutMs: 900 }))
  .on('ask_briefly', ({ emitWithAck }) => emitWithAck('question', null, { timeoutMs: 50 }))
