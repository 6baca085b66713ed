package main

import "strings"

// entry is one fault of the menu.
type entry struct {
	// fault is its name, which the test writes into its report (faultreport.Row).
	fault string
	// injected says what is done, promise what must hold all the same, each in a few words for the table.
	injected, promise string
	// test is what runs it: arguments of `go test -count=1`.
	test string
	// short and long set the size, as variables of the environment: a run that `make check` makes, and one for `make faults`.
	short, long string
}

// command is what a person types to repeat the entry.
func (e *entry) command(long bool) string {
	size := e.short
	if long {
		size = e.long
	}
	return strings.TrimSpace(size + " go test -count=1 " + e.test)
}

// menu lists all faults, in the order of the table.
var menu = []entry{
	{
		fault:    "power loss of a node",
		injected: "the power goes at any operation of the disk, recovery included; what was not synced is kept, dropped or torn",
		promise:  "nothing answered OK is lost; finished stays finished",
		test:     "-timeout 2h -run TestPowerLossLosesNothingAnswered ./test/powerloss",
		short:    "WEIR_SEEDS=150", long: "WEIR_SEEDS=10000",
	},
	{
		fault:    "failing calls, one broker",
		injected: "the n-th call of the disk fails, for every n: EIO, ENOSPC, short writes, once or from then on; then the process dies or the power goes",
		promise:  "nothing answered OK is lost; the broker starts when the disk is well again",
		test:     "-timeout 4h -run TestEveryFailingCallLosesNothingAnswered ./test/failingcalls",
		long:     "WEIR_FAILING_CALLS=1000000",
	},
	{
		fault:    "full disk, one broker",
		injected: "the disk is full before any round of a workload, to the last byte or to the reserve; then it has room again",
		promise:  "publishing is refused, consuming and finishing go on, publishing resumes",
		test:     "-timeout 1h -run TestAFullDiskRefusesMessagesAndGoesOnConsuming ./test/failingcalls",
	},
	{
		fault:    "failing calls, replicas",
		injected: "the n-th call of the preferred leader's disk fails, for every n of a scene with a restart, isolation, replaced entries, a snapshot",
		promise:  "all replicas agree when the disk is well again; what was answered is there, what was refused is nowhere",
		test:     "-timeout 2h -run TestEveryFailingCallOfAReplicaLosesNothing ./test/raftsim",
		long:     "WEIR_FAILING_CALLS=1000000",
	},
	{
		fault:    "damaged files, one broker",
		injected: "one file: flipped bits, garbage, zeros, blocks from elsewhere, cut, longer, swapped, an older copy, missing, renamed, stray ones",
		promise:  "recovered, cut above what was durable, or refused by name; repair keeps all that is intact and lists the rest",
		test:     "-timeout 2h -run TestDamageIsNeverSilent ./test/damage",
		long:     "WEIR_DAMAGED=6000",
	},
	{
		fault:    "power loss, bad networks and bad disks of replicas",
		injected: "frames dropped, doubled, delayed, overtaking; links cut one way or both; power cuts; full disks; lost bits",
		promise:  "all replicas apply the same entries; what was answered is there, what was refused is nowhere",
		test:     "-timeout 2h -run TestReplicasAgreeWhateverHappens ./test/raftsim",
		short:    "WEIR_SEEDS=60", long: "WEIR_SEEDS=6000",
	},
	{
		fault:    "kill -9 under load",
		injected: "the process is killed while it publishes, defers, delivers, requeues, rolls, trims, and while it starts; --sync=always and os",
		promise:  "nothing answered OK is lost, nothing is early, an MPUB is whole, finished stays finished",
		test:     "-tags process -timeout 2h -run TestNothingAcknowledgedIsLostToKills ./test",
		short:    "WEIR_KILLS=5", long: "WEIR_KILLS=70 WEIR_KILL_MESSAGES=1400000",
	},
	{
		fault:    "kill -9 while topics and channels change",
		injected: "the process is killed in the middle of creating, deleting, pausing, emptying",
		promise:  "what was answered is so after the restart; nothing is half done",
		test:     "-tags process -timeout 1h -run TestTopicsAndChannelsSurviveKills ./test",
		short:    "WEIR_ADMIN_STEPS=1500", long: "WEIR_ADMIN_STEPS=15000",
	},
	{
		fault:    "full disk",
		injected: "a file system of 256 MiB is filled, drained, filled again, and the process killed and started on it",
		promise:  "publishing is refused with a clear error and resumes with room; consuming goes on; nothing answered OK is lost",
		test:     "-tags process -timeout 10m -run TestFullDiskIsNotFatal ./test",
	},
	{
		fault:    "disk filled by others to the last byte",
		injected: "no byte is free, while the node runs and when it starts after kill -9",
		promise:  "consuming and finishing go on; nothing answered OK is lost",
		test:     "-tags process -timeout 10m -run TestDiskFilledByOthersToTheLastByte ./test",
	},
	{
		fault:    "kill -9 of a cluster's nodes",
		injected: "the nodes are killed one after the other, under load",
		promise:  "nothing answered OK is lost; partitions are led again within seconds",
		test:     "-tags process -timeout 2h -run TestAKilledNodeLosesNothing ./test/cluster",
		short:    "WEIR_CLUSTER_KILLS=4", long: "WEIR_CLUSTER_KILLS=60",
	},
	{
		fault:    "a replica's disk outdated, wiped or damaged",
		injected: "a node's disk is harmed while it is down, then it starts again under load",
		promise:  "it neither votes nor leads with what it forgot, says so, and delivers nothing that is damaged; nothing is lost",
		test:     "-tags process -timeout 30m -run 'TestAReplicaThatMayHaveForgotten|TestDamageNeverReachesAConsumer' ./test/cluster",
	},
	{
		fault:    "chaos",
		injected: "partitions of the network, loss, delay, kills, freezes, full, wiped, outdated and damaged disks, drawn at random",
		promise:  "the majority goes on, the minority never answers OK; nothing answered OK is lost",
		test:     "-tags process -timeout 24h -run TestChaos ./test/chaos",
		long:     "WEIR_CHAOS=15m",
	},
	{
		fault:    "slow loris",
		injected: "thousands of connections to TCP, HTTP, the admin page, the lookup ports and the peers' port that send a byte a second",
		promise:  "each costs bounded memory; others are answered",
		test:     "-tags process -timeout 20m -run TestACrowdOfSlowClientsIsBounded ./test",
		long:     "WEIR_CROWD=10000 WEIR_CROWD_SECONDS=30",
	},
	{
		fault:    "consumers that never finish",
		injected: "consumers take what they may have in flight and finish nothing",
		promise:  "each costs bounded memory; others are answered",
		test:     "-tags process -timeout 20m -run TestConsumersThatNeverFinishAreBounded ./test",
		long:     "WEIR_CROWD=10000 WEIR_CROWD_SECONDS=15",
	},
	{
		fault:    "publishers that never read",
		injected: "publishers send and read no answer",
		promise:  "they are stopped; each costs bounded memory; others are answered",
		test:     "-tags process -timeout 20m -run TestPublishersThatNeverReadAreBounded ./test",
		long:     "WEIR_CROWD=10000 WEIR_CROWD_SECONDS=15",
	},
	{
		fault:    "half-open connections",
		injected: "consumers vanish without a word of TCP, with messages in flight",
		promise:  "their messages come to others",
		test:     "-tags process -timeout 20m -run TestHalfOpenConnectionsAreNoticed ./test",
		long:     "WEIR_CROWD=10000 WEIR_CROWD_SECONDS=15",
	},
	{
		fault:    "soak",
		injected: "mixed load on a lone node and a cluster, with random kills and stops",
		promise:  "memory, descriptors, goroutines and disk stay flat; nothing answered OK is lost",
		test:     "-tags process -timeout 24h -run TestSoakStaysFlat ./test/endurance",
		long:     "WEIR_SOAK=15m",
	},
	{
		fault:    "sessions under fuzz",
		injected: "random valid and invalid commands, wrong sizes and ids, torn frames, disconnects, several sessions at once",
		promise:  "one answer for each command, in order; fatal errors close; nothing is lost, phantom, or in flight twice",
		test:     "-timeout 1h -run TestSessionsKeepTheProtocol ./test/sessions",
		short:    "WEIR_SEEDS=60", long: "WEIR_SEEDS=3000",
	},
}
