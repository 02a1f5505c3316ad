/** The start page: a room to talk in from two tabs, over any transport, with what goes over the wire beside it. */
import { type Message, TidingsClient, type TransportName } from '../../client/index.ts'

const ROOM = 'lobby'
/** Lines that either list keeps: a page that is left open must not grow for ever. */
const MAX_LINES = 200

const page = {
  user: element('user', HTMLElement),
  count: element('count', HTMLElement),
  state: element('state', HTMLOutputElement),
  transport: element('transport', HTMLSelectElement),
  messages: element('messages', HTMLOListElement),
  frames: element('frames', HTMLOListElement),
  say: element('say', HTMLFormElement),
  text: element('text', HTMLInputElement),
  tokenForm: element('token-form', HTMLFormElement),
  token: element('token', HTMLInputElement),
}

let token = await developmentToken()
let client: TidingsClient | undefined

page.transport.addEventListener('change', connect)
page.say.addEventListener('submit', (event) => {
  event.preventDefault()
  void say(page.text.value.trim())
  page.text.value = ''
})
page.tokenForm.addEventListener('submit', (event) => {
  event.preventDefault()
  token = page.token.value.trim()
  connect()
})

page.tokenForm.hidden = token !== undefined
if (token !== undefined) connect()

/** A token of a user made up for this tab; a server that is not in development gives none. */
async function developmentToken(): Promise<string | undefined> {
  const answer = await fetch('/development/token', { method: 'POST' })
  if (!answer.ok) return undefined
  const { token } = await answer.json()
  return token
}

/** Connects anew over the chosen transport, from where the last connection stood. */
function connect(): void {
  if (token === undefined) return
  const cursor = client?.cursor
  const deviceId = client?.welcome?.device_id
  client?.close()
  const chosen = page.transport.value as TransportName | ''
  const next = new TidingsClient({
    token,
    ...(cursor !== undefined && { cursor }),
    ...(deviceId !== undefined && { deviceId }),
    ...(chosen !== '' && { transports: [chosen] }),
    onError: (error) => note(String(error)),
  })
  client = next
  next.onState(({ state, transport, error, retryInMs }) => {
    const wait = retryInMs === undefined ? '' : `, again in ${Math.ceil(retryInMs / 1000)} s`
    page.state.value = [state, transport, error?.message].filter(Boolean).join(' · ') + wait
    page.state.dataset['state'] = state
    page.state.dataset['transport'] = transport ?? ''
  })
  next.on('*', (_payload, message) => show(message))
  next.connect().catch((error: unknown) => note(String(error)))
  next
    .join(ROOM)
    .then((room) => countFrom(room.participantCount))
    .catch((error: unknown) => note(String(error)))
}

async function say(text: string): Promise<void> {
  if (text === '' || client === undefined) return
  const frame = { type: 'chat', to: { room: ROOM }, payload: { text } }
  line(page.frames, `→ ${JSON.stringify(frame)}`)
  line(page.messages, `you: ${text}`, 'own')
  try {
    const { id, online } = await client.publish(frame.to, frame.type, frame.payload)
    line(page.frames, `← ack ${id}, ${online} online`)
  } catch (error) {
    note(`not sent: ${error}`)
  }
}

function show(message: Message): void {
  const { type, payload, sender, room } = message
  line(page.frames, `← ${JSON.stringify({ type, payload, room, sender: sender?.userId, cursor: message.cursor })}`)
  const fields = (payload ?? {}) as Record<string, unknown>
  if (type === 'welcome') page.user.textContent = String(fields['user_id'])
  if (type === 'chat' && !message.own) {
    line(page.messages, `${sender?.username ?? sender?.userId ?? 'server'}: ${String(fields['text'] ?? '')}`)
  }
  if (type === 'user_joined_room' || type === 'user_left_room') note(String(fields['message']))
  countFrom(fields['participant_count'])
}

function countFrom(count: unknown): void {
  if (typeof count === 'number') page.count.textContent = String(count)
}

function note(text: string): void {
  line(page.messages, text, 'note')
}

/** Adds a line as text, whatever it holds, and keeps the newest in sight. */
function line(list: HTMLOListElement, text: string, name?: string): void {
  const item = document.createElement('li')
  item.textContent = text
  if (name !== undefined) item.className = name
  list.append(item)
  while (list.childElementCount > MAX_LINES) list.firstElementChild?.remove()
  list.scrollTop = list.scrollHeight
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no #${id}`)
  return found
}
