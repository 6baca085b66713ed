// A consumer in NSQ's protocol, as small as it can be: it takes messages and keeps them in flight until it is told to finish them.
import { connect } from "node:net";
import { atEnd } from "./processes.mjs";

const heartbeat = "_heartbeat_";

/** Subscribes; resolves when the node has answered OK. */
export async function consume(t, node, topic, channel, { ready = 1, name = "browser-test" } = {}) {
	const [host, port] = node.tcp.split(":");
	const socket = connect(Number(port), host);
	atEnd(t, () => socket.destroy());
	socket.on("error", () => {}); // the node was killed
	const messages = [];
	let subscribed;
	const answered = new Promise((resolve) => (subscribed = resolve));
	let buffer = Buffer.alloc(0);
	socket.on("data", (data) => {
		buffer = Buffer.concat([buffer, data]);
		while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE(0)) {
			const size = buffer.readUInt32BE(0);
			const kind = buffer.readUInt32BE(4);
			const frame = buffer.subarray(8, 4 + size);
			buffer = buffer.subarray(4 + size);
			if (kind === 2) messages.push({ id: frame.toString("latin1", 10, 26), attempts: frame.readUInt16BE(8), body: Buffer.from(frame.subarray(26)) });
			else if (frame.toString() === heartbeat) socket.write("NOP\n");
			else if (kind === 0 && frame.toString() === "OK") subscribed();
		}
	});
	const identity = Buffer.from(JSON.stringify({ client_id: name, hostname: name, user_agent: "browser-test/1" }));
	const size = Buffer.alloc(4);
	size.writeUInt32BE(identity.length);
	socket.write(Buffer.concat([Buffer.from("  V2IDENTIFY\n"), size, identity]));
	await answered;
	const again = new Promise((resolve) => (subscribed = resolve));
	socket.write(`SUB ${topic} ${channel}\n`);
	await again;
	socket.write(`RDY ${ready}\n`);
	return { messages, finish: (m) => socket.write(`FIN ${m.id}\n`), close: () => socket.destroy() };
}
