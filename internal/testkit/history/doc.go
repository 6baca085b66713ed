// Package history tells from the outside whether a broker kept its promises.
//
// Publishers and consumers of a test record what they did and saw: a publish sent, answered OK, refused or left without an
// answer; a message delivered, finished, requeued; the broker killed, stopped, started. Check reads the whole history
// afterwards and counts what must not happen (lost, phantom, delivered again after a recorded finish, early, out of order,
// attempts that decrease) and what may (duplicates).
//
// The history is evidence of clients only: it never asks the broker. What a client cannot know stays unknown: a publish whose
// answer was cut off by a kill may be delivered or not, and neither counts as a fault.
//
//	publisher ──Sent──► broker ──Answered──► publisher       Body makes the message, Parse recognises it
//	consumer ◄─Delivered─ broker ◄─Finished / Requeued─ consumer
//	test ─Killed / Stopped─► broker
//
// A Recorder is safe for concurrent use and cheap enough for a million messages. OpenFile gives one that writes a line an
// event, for processes which are themselves killed. Only tests and demonstrations import this package.
package history
