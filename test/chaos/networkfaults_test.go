//go:build process

package chaos

import "time"

func number(n *node) int { return int(n.id) }

// halves cuts the nodes into two camps; clients reach all of them.
func (r *round) halves() error {
	nodes := r.shuffled()
	minority, majority := nodes[:(len(nodes)-1)/2], nodes[(len(nodes)-1)/2:]
	for _, a := range minority {
		for _, b := range majority {
			r.cluster.part(number(a), number(b))
		}
	}
	r.note("%d | %d", len(minority), len(majority))
	if len(nodes) != 3 {
		r.sleep(4*time.Second, 8*time.Second) // two nodes may hold two of three replicas
		return nil
	}
	if err := r.mustAccept(majority); err != nil {
		return err
	}
	return r.mustRefuse(minority, 3*time.Second, 7*time.Second)
}

// ring lets each node see its two neighbours only; of three nodes, two do not see each other.
func (r *round) ring() error {
	nodes := r.shuffled()
	count := len(nodes)
	for i, a := range nodes {
		for j, b := range nodes {
			far := (i-j+count)%count > 1 && (j-i+count)%count > 1
			if count == 3 {
				far = i != j && i+j == 1
			}
			if far {
				r.cluster.part(number(a), number(b))
			}
		}
	}
	r.sleep(3*time.Second, 8*time.Second)
	return r.mustAccept(r.cluster.nodes)
}

// isolated cuts one node off from the others, or from the clients as well.
func (r *round) isolated() error {
	lone := r.pick()
	for _, n := range r.others(lone) {
		r.cluster.part(number(lone), number(n))
	}
	r.note("node %d", lone.id)
	alone := r.rng.IntN(3) == 0
	if alone {
		r.cluster.part(0, number(lone))
		r.note("from clients too")
	}
	if err := r.mustAccept(r.others(lone)); err != nil {
		return err
	}
	if alone {
		r.sleep(3*time.Second, 7*time.Second)
		return nil
	}
	return r.mustRefuse([]*node{lone}, 3*time.Second, 7*time.Second)
}

// oneWay lets one node only speak, or only listen.
func (r *round) oneWay() error {
	lone := r.pick()
	speaks := r.rng.IntN(2) == 0
	for _, n := range r.others(lone) {
		if speaks {
			r.cluster.cut(number(n), number(lone))
		} else {
			r.cluster.cut(number(lone), number(n))
		}
	}
	r.note("node %d only %s", lone.id, map[bool]string{true: "speaks", false: "listens"}[speaks])
	if err := r.mustAccept(r.others(lone)); err != nil {
		return err
	}
	return r.mustRefuse([]*node{lone}, 3*time.Second, 7*time.Second)
}

// flapping cuts and heals links by chance, again and again.
func (r *round) flapping() error {
	times := 8 + r.rng.IntN(8)
	if r.short {
		times = 6
	}
	for range times {
		nodes := r.shuffled()
		if r.rng.IntN(2) == 0 {
			r.cluster.part(number(nodes[0]), number(nodes[1]))
		} else {
			for _, n := range nodes[1:] {
				r.cluster.part(number(nodes[0]), number(n))
			}
		}
		r.sleep(50*time.Millisecond, 1200*time.Millisecond)
		r.cluster.heal()
		r.sleep(20*time.Millisecond, 800*time.Millisecond)
	}
	r.note("%d times", times)
	return nil
}

// slow makes all links between nodes bad: delay, jitter, loss and overtaking.
func (r *round) slow() error {
	c := conditions{
		delay:   time.Duration(1+r.rng.IntN(60)) * time.Millisecond,
		jitter:  time.Duration(r.rng.IntN(40)) * time.Millisecond,
		loss:    float64(r.rng.IntN(6)) / 100,
		reorder: float64(r.rng.IntN(10)) / 100,
	}
	for _, a := range r.cluster.nodes {
		for _, b := range r.cluster.nodes {
			r.cluster.links[a.id][b.id].set(c)
		}
	}
	r.note("%v+%v, %.0f %% lost", c.delay, c.jitter, c.loss*100)
	r.sleep(5*time.Second, 10*time.Second)
	return nil
}

// apart cuts every node off from every other.
func (r *round) apart() error {
	for _, a := range r.cluster.nodes {
		for _, b := range r.cluster.nodes {
			if a != b {
				r.cluster.part(number(a), number(b))
			}
		}
	}
	return r.mustRefuse(r.cluster.nodes, 4*time.Second, 8*time.Second)
}
