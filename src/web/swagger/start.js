// A file of its own, because the page allows no script within it.
window.ui = window.SwaggerUIBundle({
  url: '/swagger/json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  // What is typed in is sent to this server and nowhere else: no validation by a service on the network.
  validatorUrl: null,
  // Tokens that are typed in are gone with the page.
  persistAuthorization: false,
})
