/**
 * A guest of the jukebox, with the client whose types come from the jukebox's own handlers.
 *
 *   TOKEN=… node_modules/.bin/bun examples/guest.ts bar 'So What'    asks for a track, or votes for it
 *   TOKEN=… node_modules/.bin/bun examples/guest.ts bar              tells what goes on
 */
import { ClientError, TidingsClient } from 'tidings/client'
import type jukebox from './jukebox.ts'

const url = process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime'
const token = process.env.TOKEN
const [bar = 'bar', title] = process.argv.slice(2)
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const client = new TidingsClient<typeof jukebox>({ url, token })
await client.connect()
const room = client.room(bar)

if (title === undefined) {
  room.on('track_asked_for', ({ title, by }: { title: string; by: string }) => console.log(`${by} asks for ${title}`))
  room.on('track_voted_for', ({ title, votes }: { title: string; votes: number }) => console.log(`${title}: ${votes}`))
  room.on('now_playing', ({ title }: { title: string }) => console.log(`now playing: ${title}`))
  const { participantCount } = await room.join()
  console.log(`in the ${bar}, ${participantCount} here`)
} else {
  await room.join()
  try {
    const { position } = await client.request('ask_for', { title })
    console.log(`number ${position} on the list`)
  } catch (error) {
    if (!(error instanceof ClientError && error.reason === 'invalid_message')) throw error
    const { votes } = await client.request('vote', { title })
    console.log(`on the list already, with ${votes} votes now`)
  }
  client.close()
}
