//go:build process

package chaos

// scenario is one fault: run makes it, lets it last, checks what must hold meanwhile and takes it back, except for what
// wire.heal takes back. Every node runs before and after it.
type scenario struct {
	name string
	run  func(*round) error
}

// scenarios are all that rounds draw from.
var scenarios = []scenario{
	{"halves", (*round).halves},
	{"ring", (*round).ring},
	{"one node isolated", (*round).isolated},
	{"one way only", (*round).oneWay},
	{"flapping links", (*round).flapping},
	{"slow and lossy links", (*round).slow},
	{"all apart", (*round).apart},
	{"kill -9 a node", (*round).killOne},
	{"kill -9 the catalog's leader", (*round).killLeader},
	{"kill -9 the majority", (*round).killMajority},
	{"kill -9 all nodes", (*round).killAll},
	{"freeze a node", (*round).freezeOne},
	{"freeze the majority", (*round).freezeMajority},
	{"stop a node", (*round).stopOne},
	{"full disk", (*round).fullDisk},
	{"wiped disk", (*round).wipedDisk},
	{"outdated disk", (*round).outdatedDisk},
	{"damaged segment", (*round).damagedSegment},
}

// shortScenarios are the names of those that the short form runs; it has no time for more.
var shortScenarios = []string{"one node isolated", "kill -9 the majority", "flapping links", "freeze a node"}
