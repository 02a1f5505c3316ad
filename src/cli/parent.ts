/** The process that has started this one, and what it may want of it. */

export interface Wishes {
  /** Stops as on SIGTERM; once is enough, however often it is wished. */
  stop(reason: string): void
  /** Reads keys again, as on SIGHUP. */
  reload(): void
}

/** A parent that looks after this process: a Ctrl-C, which a terminal sends to both, is left to it. */
export interface Parent {
  /** Called once, before the server starts; from then on, wishes may come. The end of the parent is a wish to stop. */
  listen(wishes: Wishes): void
}

/** The reason for stopping where nobody is left to look after this process. */
export const PARENT_GONE = 'parent_gone'

/** The parent of `serve --watch`, which says nothing and is only there. */
export const watchingParent: Parent = {
  listen: ({ stop }) => {
    process.on('disconnect', () => stop(PARENT_GONE))
  },
}
