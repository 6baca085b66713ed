// Uses nsqjs against a real broker: node client.js HOST:PORT OPTIONS
//
// OPTIONS are nsqjs's own, as JSON; "ca" there is the file of the authority that the broker's certificate comes from.
//
// Each part uses a topic of its own. For each one line of JSON is printed: {"name": …, "error": …}, the error empty if the part did
// what it should. The exit code is 0 only if all did.
'use strict'

const fs = require('fs')
const nsq = require('nsqjs')

const [address, given] = process.argv.slice(2)
const common = JSON.parse(given)
if (common.ca) common.ca = fs.readFileSync(common.ca)
const [host, port] = address.split(':')

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// openWriter resolves when the writer is connected.
function openWriter() {
  return new Promise((resolve, reject) => {
    const writer = new nsq.Writer(host, Number(port), common)
    writer.on('ready', () => resolve(writer))
    writer.on('error', reject)
    writer.connect()
  })
}

// publish and defer resolve when the broker has answered.
function publish(writer, topic, body) {
  return new Promise((resolve, reject) => {
    writer.publish(topic, body, (err) => (err ? reject(err) : resolve()))
  })
}

function defer(writer, topic, body, ms) {
  return new Promise((resolve, reject) => {
    // nsqjs 0.13 defers nothing but a list of one.
    writer.deferPublish(topic, [body], ms, (err) => (err ? reject(err) : resolve()))
  })
}

// Inbox is a reader whose messages are awaited one by one.
class Inbox {
  constructor(topic, options = {}) {
    this.arrived = []
    this.wanted = []
    this.connections = 0
    this.reader = new nsq.Reader(topic, 'work', { nsqdTCPAddresses: [address], maxInFlight: 50, ...common, ...options })
    this.reader.on('nsqd_connected', () => { this.connections += 1 })
    this.reader.on('error', (err) => { this.failure = err })
    this.reader.on('message', (m) => {
      const got = { m, body: m.body.toString(), attempts: m.attempts, at: Date.now() }
      const want = this.wanted.shift()
      if (want) want(got)
      else this.arrived.push(got)
    })
    this.reader.connect()
  }

  // next resolves with the next message, or rejects after a while.
  next(ms = 5000) {
    if (this.arrived.length > 0) return Promise.resolve(this.arrived.shift())
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no message within ${ms} ms (${this.failure || 'no error'})`)), ms)
      this.wanted.push((got) => { clearTimeout(timer); resolve(got) })
    })
  }

  // none rejects if a message comes within a while.
  async none(ms) {
    await sleep(ms)
    if (this.arrived.length > 0) throw new Error(`${this.arrived[0].body} came, attempts ${this.arrived[0].attempts}`)
  }

  close() { this.reader.close() }
}

function check(holds, text) {
  if (!holds) throw new Error(text)
}

const parts = {
  async publish(writer, inbox) {
    const want = new Set(['alone', 'first', 'second', 'third'])
    await publish(writer, 'js_publish', 'alone')
    await publish(writer, 'js_publish', ['first', 'second', 'third'])
    while (want.size > 0) {
      const got = await inbox.next()
      check(want.delete(got.body) && got.attempts === 1, `${got.body} came, attempts ${got.attempts}`)
      got.m.finish()
    }
    await inbox.none(300)
  },

  async requeue(writer, inbox) {
    await publish(writer, 'js_requeue', 'again')
    const first = await inbox.next()
    first.m.requeue(400, false)
    const second = await inbox.next()
    check(second.attempts === 2, `attempts ${second.attempts}`)
    check(second.at - first.at >= 399, `came back after ${second.at - first.at} ms`)
    second.m.finish()
    await inbox.none(600)
  },

  async touch(writer, inbox) {
    await publish(writer, 'js_touch', 'slow')
    const got = await inbox.next()
    for (let i = 0; i < 5; i += 1) {
      await inbox.none(600)
      got.m.touch()
    }
    got.m.finish()
    await inbox.none(1500)
  },

  async timeout(writer, inbox) {
    await publish(writer, 'js_timeout', 'forgotten')
    const first = await inbox.next()
    const second = await inbox.next()
    check(second.attempts === 2, `attempts ${second.attempts}`)
    check(second.at - first.at > 900 && second.at - first.at < 1500, `timed out after ${second.at - first.at} ms`)
    second.m.finish()
    await inbox.none(1500)
  },

  async defer(writer, inbox) {
    const sent = Date.now()
    await defer(writer, 'js_defer', 'later', 800)
    await publish(writer, 'js_defer', 'now')
    const now = await inbox.next()
    check(now.body === 'now', `${now.body} came first`)
    now.m.finish()
    const later = await inbox.next()
    check(later.body === 'later' && later.at - sent >= 799 && later.at - sent < 1300, `${later.body} after ${later.at - sent} ms`)
    later.m.finish()
  },

  async heartbeat(writer, inbox) {
    await sleep(5500)
    await publish(writer, 'js_heartbeat', 'still here')
    const got = await inbox.next()
    got.m.finish()
    check(inbox.connections === 1, `connected ${inbox.connections} times`)
  },
}

const options = { touch: { messageTimeout: 1000 }, timeout: { messageTimeout: 1000 }, heartbeat: { heartbeatInterval: 1 } }

async function runPart(writer, name) {
  const inbox = new Inbox(`js_${name}`, options[name])
  let error = ''
  try {
    await parts[name](writer, inbox)
  } catch (err) {
    error = String(err)
  }
  inbox.close()
  console.log(JSON.stringify({ name, error }))
  return error === ''
}

async function main() {
  const writer = await openWriter()
  const outcomes = await Promise.all(Object.keys(parts).map((name) => runPart(writer, name)))
  writer.close()
  process.exit(outcomes.every(Boolean) ? 0 : 1)
}

main().catch((err) => { console.error(err); process.exit(1) })
