/** Imported as files: what the import gives is a path. */
declare module 'swagger-ui-dist/*' {
  const path: string
  export default path
}

declare module '*/start.js' {
  const path: string
  export default path
}
