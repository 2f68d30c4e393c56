// The server that a team fluent in Go would write: net/http, encoding/json, franz-go with its defaults, one record a
// callback. It answers 200 when all in-sync replicas have the callback, and has nothing else that ingest has: no
// rejected topic, no bounds of memory and time, no metrics, no repairs of bodies.
package main

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const mostBytes = 1 << 20

type callback struct {
	MessageID string `json:"messageId"`
	Status    struct {
		Name string `json:"name"`
	} `json:"status"`
}

type server struct {
	kafka  *kgo.Client
	secret []byte
}

func (s *server) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	given := strings.TrimPrefix(request.URL.Path, "/callbacks/")
	if request.Method != http.MethodPost || subtle.ConstantTimeCompare([]byte(given), s.secret) != 1 {
		http.NotFound(answer, request)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, mostBytes))
	if err != nil {
		http.Error(answer, "the body cannot be read", http.StatusBadRequest)
		return
	}
	var told callback
	if json.Unmarshal(body, &told) != nil || told.MessageID == "" || told.Status.Name == "" {
		http.Error(answer, "this is no callback", http.StatusBadRequest)
		return
	}
	record := &kgo.Record{Key: []byte(told.MessageID), Value: body}
	if err := s.kafka.ProduceSync(request.Context(), record).FirstErr(); err != nil {
		http.Error(answer, "Kafka does not have it", http.StatusServiceUnavailable)
		return
	}
	answer.WriteHeader(http.StatusOK)
}

func main() {
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(os.Getenv("KAFKA_BOOTSTRAP_SERVERS")),
		kgo.DefaultProduceTopic(os.Getenv("KAFKA_TOPIC_PREFIX")+"callbacks.raw"),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	if err != nil {
		log.Fatal(err)
	}
	handler := &server{kafka: kafka, secret: []byte(os.Getenv("INGEST_SECRETS"))}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("INGEST_PORT"), handler))
}
