/* load PORT FOLDER PUBLISHERS WINDOW PAYLOAD_BYTES WARM_S FOR_S
 *
 * What load.mjs does, with the broker's own client library (libmosquitto, in C), so that no peer is called slow for its
 * client: publishers that keep WINDOW messages of QoS 1 unacknowledged each, and one subscriber, each on a thread of its
 * own. Says one line of JSON: what the subscriber got and the publishers saw acknowledged in FOR_S seconds after WARM_S.
 *
 * The prototypes stand here as libmosquitto 1.6 and 2.0 have them, so that the library is enough and its headers are
 * not needed.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct mosquitto;
int mosquitto_lib_init(void);
struct mosquitto *mosquitto_new(const char *id, bool clean_session, void *context);
int mosquitto_tls_set(struct mosquitto *client, const char *ca_file, const char *ca_path, const char *certificate,
                      const char *key, int (*ask_password)(char *, int, int, void *));
int mosquitto_int_option(struct mosquitto *client, int option, int value);
int mosquitto_max_inflight_messages_set(struct mosquitto *client, unsigned int most);
int mosquitto_connect(struct mosquitto *client, const char *host, int port, int keepalive_s);
int mosquitto_loop_start(struct mosquitto *client);
int mosquitto_publish(struct mosquitto *client, int *mid, const char *topic, int length, const void *payload, int qos,
                      bool is_retained);
int mosquitto_subscribe(struct mosquitto *client, int *mid, const char *pattern, int qos);
void mosquitto_connect_callback_set(struct mosquitto *client, void (*call)(struct mosquitto *, void *, int));
void mosquitto_publish_callback_set(struct mosquitto *client, void (*call)(struct mosquitto *, void *, int));
void mosquitto_message_callback_set(struct mosquitto *client, void (*call)(struct mosquitto *, void *, const void *));
void mosquitto_subscribe_callback_set(struct mosquitto *client,
                                      void (*call)(struct mosquitto *, void *, int, int, const int *));

enum { TCP_NODELAY_OPTION = 11, KEEPALIVE_S = 60, QOS = 1, TEXT_BYTES = 512 };

static atomic_long delivered, acknowledged;
static atomic_bool is_subscribed;
static int window, payload_bytes;
static char *payload;

static void require(int is_good, const char *what) {
    if (!is_good) {
        fprintf(stderr, "load: %s failed\n", what);
        exit(1);
    }
}

static void publish(struct mosquitto *client, void *topic) {
    mosquitto_publish(client, NULL, topic, payload_bytes, payload, QOS, false);
}

static void on_publisher_connected(struct mosquitto *client, void *topic, int refusal) {
    require(refusal == 0, "a publisher's connection");
    for (int free = 0; free < window; free += 1) publish(client, topic);
}

static void on_acknowledged(struct mosquitto *client, void *topic, int mid) {
    (void)mid;
    atomic_fetch_add_explicit(&acknowledged, 1, memory_order_relaxed);
    publish(client, topic);
}

static void on_subscriber_connected(struct mosquitto *client, void *context, int refusal) {
    (void)context;
    require(refusal == 0, "the subscriber's connection");
    mosquitto_subscribe(client, NULL, "readings/#", QOS);
}

static void on_subscribed(struct mosquitto *client, void *context, int mid, int count, const int *granted) {
    (void)client, (void)context, (void)mid;
    require(count == 1 && granted[0] == QOS, "the subscription");
    atomic_store(&is_subscribed, true);
}

static void on_message(struct mosquitto *client, void *context, const void *message) {
    (void)client, (void)context, (void)message;
    atomic_fetch_add_explicit(&delivered, 1, memory_order_relaxed);
}

static struct mosquitto *make_client(const char *name, bool is_clean, void *context, const char *folder) {
    char ca[TEXT_BYTES], certificate[TEXT_BYTES], key[TEXT_BYTES];
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(certificate, sizeof certificate, "%s/%s.pem", folder, name);
    snprintf(key, sizeof key, "%s/%s.key", folder, name);
    struct mosquitto *client = mosquitto_new(name, is_clean, context);
    require(client != NULL, "making a client");
    require(mosquitto_tls_set(client, ca, NULL, certificate, key, NULL) == 0, "setting TLS");
    mosquitto_int_option(client, TCP_NODELAY_OPTION, 1);
    mosquitto_max_inflight_messages_set(client, (unsigned)window);
    return client;
}

static void start(struct mosquitto *client, int port) {
    require(mosquitto_connect(client, "127.0.0.1", port, KEEPALIVE_S) == 0, "connecting");
    require(mosquitto_loop_start(client) == 0, "starting a thread");
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **words) {
    require(count == 8, "PORT FOLDER PUBLISHERS WINDOW PAYLOAD_BYTES WARM_S FOR_S");
    const int port = atoi(words[1]), publishers = atoi(words[3]);
    const char *folder = words[2];
    window = atoi(words[4]), payload_bytes = atoi(words[5]);
    payload = malloc((size_t)payload_bytes);
    require(payload != NULL, "memory");
    memset(payload, 0x5a, (size_t)payload_bytes);
    mosquitto_lib_init();

    struct mosquitto *subscriber = make_client("subscriber", false, NULL, folder);
    mosquitto_connect_callback_set(subscriber, on_subscriber_connected);
    mosquitto_subscribe_callback_set(subscriber, on_subscribed);
    mosquitto_message_callback_set(subscriber, on_message);
    start(subscriber, port);
    while (!atomic_load(&is_subscribed)) usleep(1000);
    for (int at = 0; at < publishers; at += 1) {
        char name[TEXT_BYTES], *topic = malloc(TEXT_BYTES);
        require(topic != NULL, "memory");
        snprintf(name, sizeof name, "publisher-%d", at);
        snprintf(topic, TEXT_BYTES, "readings/%d", at);
        struct mosquitto *client = make_client(name, true, topic, folder);
        mosquitto_connect_callback_set(client, on_publisher_connected);
        mosquitto_publish_callback_set(client, on_acknowledged);
        start(client, port);
    }

    usleep((useconds_t)(atof(words[6]) * 1e6));
    const long delivered_before = delivered, acknowledged_before = acknowledged;
    const double began_s = now_s(), cpu_began_s = cpu_s();
    usleep((useconds_t)(atof(words[7]) * 1e6));
    printf("{\"seconds\": %f, \"delivered\": %ld, \"acknowledged\": %ld, \"client_cpu_s\": %f}\n", now_s() - began_s,
           delivered - delivered_before, acknowledged - acknowledged_before, cpu_s() - cpu_began_s);
    fflush(stdout);
    _exit(0);
}
