// Consumes a topic that it finds by lookup, with nsqjs: node lookup.js TOPIC CHANNEL HOST:PORT [HOST:PORT …]
//
// It finishes every message and prints its body, one a line, until it is killed. It never learns an address but those of the
// lookup services.
'use strict'

const nsq = require('nsqjs')

const [topic, channel, ...lookups] = process.argv.slice(2)

const reader = new nsq.Reader(topic, channel, {
  lookupdHTTPAddresses: lookups,
  lookupdPollInterval: 1,
  lookupdPollJitter: 0.1,
  heartbeatInterval: 1,
  idleTimeout: 3, // notices a silent network
  messageTimeout: 2000,
  maxInFlight: 50,
  maxAttempts: 0,
})
reader.on('message', (m) => {
  console.log(m.body.toString())
  m.finish()
})
reader.on('error', (err) => { console.error(String(err)) }) // a lookup service or broker that is down: it goes on
reader.connect()
