// Package topology runs the installation of NSQ's tutorials with real processes: three brokers, two lookup services, publishers beside
// each broker, consumers that know nothing but the lookup services.
//
//	publisher ─► broker 1 ─┐      ┌─ lookup 1 ─┐
//	publisher ─► broker 2 ─┼──────┤            ├── consumers: go-nsq, nsqjs
//	publisher ─► broker 3 ─┘      └─ lookup 2 ─┘
//	               ▲ consumers reach broker 3 through a proxy that can go silent
//
// While messages flow, a broker and a lookup service are killed and started again, and a consumer's network goes silent. Every
// message that was answered OK has to arrive on every channel, and nobody is told anything by hand. Brokers and lookup services
// are Weir's or stock ones. Stock NSQ's tools are used with Weir's services, too.
//
// The tests are behind the build tag "process" as those of package test are.
package topology
