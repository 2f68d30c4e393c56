// Prints the latest status of each SMS, and each newer one as it comes.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

type status struct {
	Key        string `json:"sms_key"`
	Status     string `json:"status"`
	Generation int64  `json:"generation"`
	Revision   int64  `json:"revision"`
}

func main() {
	topic := cmp.Or(os.Getenv("KAFKA_TOPIC_PREFIX"), "routee.") + "sms.status"
	servers := kgo.SeedBrokers(cmp.Or(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), "127.0.0.1:9092"))
	// Without a group: each start reads the topic from its beginning, which has the latest record of every key.
	client, err := kgo.NewClient(servers, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	for newest := map[string]status{}; err == nil; {
		fetches := client.PollFetches(context.Background())
		err = fetches.Err()
		fetches.EachRecord(func(message *kgo.Record) {
			var record status
			if err = json.Unmarshal(message.Value, &record); err != nil {
				return
			}
			known := newest[record.Key]
			if cmp.Or(cmp.Compare(record.Generation, known.Generation), cmp.Compare(record.Revision, known.Revision)) > 0 {
				newest[record.Key] = record
				fmt.Println(record.Key, record.Status)
			}
		})
	}
	log.Fatal(err)
}
