/** A style sheet that is imported as a file is a path. */
declare module '*/start.css' {
  const path: string
  export default path
}
