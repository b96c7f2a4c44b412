package nexmark

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// The constants of the suite.
const (
	groupSize       = 50
	personsPerGroup = 1
	auctionsOfGroup = 3

	firstPersonID  = 1000
	firstAuctionID = 1000
	firstCategory  = 10
	categories     = 5

	hotSellerRatio  = 4
	hotAuctionRatio = 2
	hotBidderRatio  = 4
	hotBlock        = 100

	activePeople     = 1000
	inFlightAuctions = 100
	idLead           = 10

	personBytes  = 200
	auctionBytes = 500
	bidBytes     = 100

	channels = 10000

	// BaseTimeMs is the event time of the first event.
	BaseTimeMs = 1436918400000
)

// Kind is the kind of an event.
type Kind uint8

// The kinds of event, in the order of their topics.
const (
	Person Kind = iota
	Auction
	Bid
)

// Generator makes events in order. It belongs to one goroutine.
type Generator struct {
	rng    *rand.Rand
	rate   int64 // events per second of event time
	number int64
}

// NewGenerator returns a generator of events that are 1/rate seconds apart.
func NewGenerator(seed uint64, rate int64) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, 0x6e65786d61726b)), rate: rate}
}

// Next appends the next event's JSON to dst and returns its kind and event time
// in ms.
func (g *Generator) Next(dst []byte) ([]byte, Kind, int64) {
	n := g.number
	g.number++
	ts := BaseTimeMs + n*1000/g.rate
	switch p := n % groupSize; {
	case p < personsPerGroup:
		return g.person(dst, n, ts), Person, ts
	case p < personsPerGroup+auctionsOfGroup:
		return g.auction(dst, n, ts), Auction, ts
	}
	return g.bid(dst, n, ts), Bid, ts
}

// lastPerson is the number of the newest person at event n, counted from 0.
func lastPerson(n int64) int64 {
	epoch, offset := n/groupSize, n%groupSize
	return epoch*personsPerGroup + min(offset, personsPerGroup-1)
}

// lastAuction is the number of the newest auction at event n, counted from 0; -1
// before the first.
func lastAuction(n int64) int64 {
	epoch, offset := n/groupSize, n%groupSize
	switch {
	case offset < personsPerGroup:
		return epoch*auctionsOfGroup - 1
	case offset >= personsPerGroup+auctionsOfGroup:
		return epoch*auctionsOfGroup + auctionsOfGroup - 1
	}
	return epoch*auctionsOfGroup + offset - personsPerGroup
}

func (g *Generator) randomPerson(n int64) int64 {
	people := lastPerson(n) + 1
	active := min(people, activePeople)
	return people - active + g.rng.Int64N(active+idLead)
}

func (g *Generator) randomAuction(n int64) int64 {
	last := max(lastAuction(n), 0)
	first := max(last-inFlightAuctions, 0)
	return first + g.rng.Int64N(last-first+1+idLead)
}

// price is log-uniform from 1.00 to 1,000,000.00 in hundredths.
func (g *Generator) price() int64 {
	return int64(math.Round(math.Pow(10, g.rng.Float64()*6) * 100))
}

var (
	firstNames = []string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities     = []string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	states     = []string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	hotChannel = []string{"Google", "Facebook", "Baidu", "Apple"}
)

func (g *Generator) pick(list []string) string { return list[g.rng.IntN(len(list))] }

// appendString appends a random string of 3 to limit characters, one in 13 of
// them a space.
func (g *Generator) appendString(dst []byte, limit int) []byte {
	for range 3 + g.rng.IntN(limit-3) {
		if g.rng.IntN(13) == 0 {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, 'a'+byte(g.rng.IntN(26)))
		}
	}
	return dst
}

// appendExtra appends the padding that brings an event of size bytes to its
// average, give or take a fifth.
func (g *Generator) appendExtra(dst []byte, size, average int) []byte {
	if size >= average {
		return dst
	}
	average -= size
	delta := int(math.Round(float64(average) * 0.2))
	n := average - delta
	if delta > 0 {
		n += g.rng.IntN(2 * delta)
	}
	for range n {
		dst = append(dst, 'A'+byte(g.rng.IntN(26)))
	}
	return dst
}

func (g *Generator) person(dst []byte, n, ts int64) []byte {
	name := g.pick(firstNames) + " " + g.pick(lastNames)
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, firstPersonID+lastPerson(n), 10)
	dst = append(append(dst, `,"name":"`...), name...)
	dst = append(dst, `","emailAddress":"`...)
	dst = append(g.appendString(dst, 7), '@')
	dst = append(g.appendString(dst, 5), ".com\",\"creditCard\":\""...)
	for i := range 4 {
		if i > 0 {
			dst = append(dst, ' ')
		}
		card := strconv.Itoa(10000 + g.rng.IntN(10000))
		dst = append(dst, card[1:]...)
	}
	dst = append(append(dst, `","city":"`...), g.pick(cities)...)
	dst = append(append(dst, `","state":"`...), g.pick(states)...)
	dst = append(dst, `","dateTime":`...)
	dst = strconv.AppendInt(dst, ts, 10)
	dst = append(dst, `,"extra":"`...)
	return append(g.appendExtra(dst, 8+len(name)+12+19+10+2, personBytes), `"}`...)
}

func (g *Generator) auction(dst []byte, n, ts int64) []byte {
	seller := g.randomPerson(n)
	if g.rng.IntN(hotSellerRatio) > 0 {
		seller = lastPerson(n) / hotBlock * hotBlock
	}
	initial := g.price()
	reserve := initial + g.price()
	horizon := int64(inFlightAuctions) * groupSize / auctionsOfGroup * 1000 / g.rate
	expires := ts + 1 + g.rng.Int64N(max(2*horizon, 1))
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, firstAuctionID+lastAuction(n), 10)
	dst = append(dst, `,"itemName":"`...)
	dst = append(g.appendString(dst, 20), `","description":"`...)
	dst = append(g.appendString(dst, 100), `","initialBid":`...)
	dst = strconv.AppendInt(dst, initial, 10)
	dst = append(dst, `,"reserve":`...)
	dst = strconv.AppendInt(dst, reserve, 10)
	dst = append(dst, `,"dateTime":`...)
	dst = strconv.AppendInt(dst, ts, 10)
	dst = append(dst, `,"expires":`...)
	dst = strconv.AppendInt(dst, expires, 10)
	dst = append(dst, `,"seller":`...)
	dst = strconv.AppendInt(dst, firstPersonID+seller, 10)
	dst = append(dst, `,"category":`...)
	dst = strconv.AppendInt(dst, firstCategory+g.rng.Int64N(categories), 10)
	dst = append(dst, `,"extra":"`...)
	return append(g.appendExtra(dst, 8+12+52+8+8+8+8+8+8, auctionBytes), `"}`...)
}

func (g *Generator) bid(dst []byte, n, ts int64) []byte {
	auction := g.randomAuction(n)
	if g.rng.IntN(hotAuctionRatio) > 0 {
		auction = max(lastAuction(n), 0) / hotBlock * hotBlock
	}
	// The suite adds the first person's id twice: ids of bidders are shifted.
	bidder := g.randomPerson(n) + firstPersonID
	if g.rng.IntN(hotBidderRatio) > 0 {
		bidder = lastPerson(n)/hotBlock*hotBlock + 1 + firstPersonID
	}
	dst = append(dst, `{"auction":`...)
	dst = strconv.AppendInt(dst, firstAuctionID+auction, 10)
	dst = append(dst, `,"bidder":`...)
	dst = strconv.AppendInt(dst, firstPersonID+bidder, 10)
	dst = append(dst, `,"price":`...)
	dst = strconv.AppendInt(dst, g.price(), 10)
	dst = g.appendChannel(dst)
	dst = append(dst, `,"dateTime":`...)
	dst = strconv.AppendInt(dst, ts, 10)
	dst = append(dst, `,"extra":"`...)
	return append(g.appendExtra(dst, 32, bidBytes), `"}`...)
}

// appendChannel appends channel and url: half of the bids come through one of
// four channels with a fixed URL.
func (g *Generator) appendChannel(dst []byte) []byte {
	dst = append(dst, `,"channel":"`...)
	if g.rng.IntN(2) == 0 {
		name := g.pick(hotChannel)
		dst = append(append(dst, name...), `","url":"https://www.nexmark.com/`...)
		dst = append(append(dst, name...), `/sale/day/item.htm?query=1"`...)
		return dst
	}
	id := g.rng.IntN(channels)
	dst = strconv.AppendInt(append(dst, "channel-"...), int64(id), 10)
	dst = append(dst, `","url":"https://www.nexmark.com/`...)
	// The path of a channel never changes: it is made from its number.
	path := rand.New(rand.NewPCG(uint64(id), 1))
	for i := range 3 {
		if i > 0 {
			dst = append(dst, '/')
		}
		for range 3 + path.IntN(5) {
			dst = append(dst, 'a'+byte(path.IntN(26)))
		}
	}
	dst = append(dst, "/item.htm?query=1"...)
	if id%10 != 0 {
		dst = strconv.AppendInt(append(dst, "&channel_id="...), int64(id), 10)
	}
	return append(dst, '"')
}
