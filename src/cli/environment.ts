// Libraries read it when they are loaded, and where it is absent they show stack traces and inputs to clients.
Bun.env.NODE_ENV ??= 'production'
