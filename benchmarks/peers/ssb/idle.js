// One ssb-db2 + ssb-ebt peer that does nothing, beside which ours is measured: node idle.js FOLDER
// Prints {"ready": 1} once its database is open, and then waits to be ended.
const ssbKeys = require('ssb-keys')

const folder = process.argv[2]
const peer = require('secret-stack')({ caps: require('ssb-caps') })
  .use(require('ssb-db2'))
  .use(require('ssb-db2/compat/ebt'))
  .use(require('ssb-ebt'))
  .call(null, {
    path: folder,
    keys: ssbKeys.loadOrCreateSync(`${folder}/secret`),
    connections: {
      incoming: { net: [{ scope: 'device', transform: 'shs', port: 20_000 + (process.pid % 20_000), host: '127.0.0.1' }] },
      outgoing: { net: [{ transform: 'shs' }] },
    },
  })
peer.db.onDrain(() => console.log(JSON.stringify({ ready: 1 })))
