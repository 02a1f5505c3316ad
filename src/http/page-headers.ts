/**
 * The headers of what people open in a browser: nothing but this server's own files, no script or style within the page,
 * and connections to this server alone. Asked for again each time, and answered with 304 where it is the same.
 * @param images where images may come from besides; absent: there are none.
 */
export function pageHeaders(images?: string): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    ...(images === undefined ? [] : [`img-src ${images}`]),
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  }
}
