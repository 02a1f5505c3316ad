/** Secrets that everybody knows: what examples, tutorials and templates are filled with. */

/** Words of which placeholders are made, in lower case without separators. */
const WORDS = `
  secret secrets supersecret changeme change changeit replace replaceme password passw0rd default example sample
  placeholder insecure unsafe dummy fake todo test testing demo development dev local only jwt token key keys api
  admin hmac sign signing auth your my me this is it a the not do use for in to with of be must and or production
  prod random string value here very super really please some at least long enough bit bits byte bytes char chars
  characters hs256 256 32 64 128 512 tidings realtime server app application 1234567890 0123456789 123456789
  12345678 123456 123 abcdef abcdefghijklmnopqrstuvwxyz qwerty qwertyuiop letmein foo bar baz foobar hello world
  deadbeef
`
  .trim()
  .split(/\s+/)
/** Characters that no known word covers, as a share of all: random text leaves nearly all of them. */
const COVERED_BUT_FOR = 0.25
/** A random secret of 32 characters has more different ones, even in hexadecimal digits. */
const FEWEST_DIFFERENT = 8

/** Whether a secret is a well-known one, a repetition, or a phrase made of words like "changeme". */
export function isPlaceholder(secret: string): boolean {
  const letters = secret.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (new Set(letters).size < FEWEST_DIFFERENT) return true
  return uncovered(letters) <= letters.length * COVERED_BUT_FOR
}

/** How many characters are left over when as much as possible of a text is cut into known words. */
function uncovered(text: string): number {
  const fewest = [0]
  for (let end = 1; end <= text.length; end += 1) {
    let left = (fewest[end - 1] ?? 0) + 1
    for (const word of WORDS) {
      if (word.length <= end && text.endsWith(word, end)) left = Math.min(left, fewest[end - word.length] ?? left)
    }
    fewest.push(left)
  }
  return fewest[text.length] ?? 0
}
