/* Connections, and patience with them: librdkafka's handles, what brokers last complained of, and
 * its blocking calls cut into slices so that a wish to stop is seen in a second. librdkafka prints
 * nothing itself: its log comes here. */
#include "connectors/kafka/kafka_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define SLICE_FIRST_MS   500
#define SLICE_LARGEST_MS 4000
#define CERTIFICATE_PATIENCE_MS                                                                    \
    2000 /* another broker, whose certificate is taken, may answer meanwhile */
#define UNKNOWN_PATIENCE_MS                                                                        \
    3000 /* a broker that just became leader may not know the partition yet */

/* "[thrd:host:9092/1]: host:9092/1: Connect to ... failed" -> "host:9092/1: Connect to ... failed"
 */
static const char *without_thread(const char *text)
{
    if (strncmp(text, "[thrd:", 6) != 0)
        return text;
    const char *end = strstr(text, "]: ");
    return end ? end + 3 : text;
}

static void words_note(struct kafka_words *words, const char *text)
{
    pthread_mutex_lock(&words->lock);
    snprintf(words->text, sizeof words->text, "%s", without_thread(text));
    char *after = strstr(words->text, " (after ");
    if (after) /* "(after 0ms in state CONNECT, 3 identical error(s) suppressed)" helps nobody */
        *after = 0;
    pthread_mutex_unlock(&words->lock);
}

/* Called from librdkafka's threads. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct kafka_source *source = client ? rd_kafka_opaque(client) : NULL;
    /* Read uncommitted, aborted transactions are what is looked for: no complaint. */
    if (source && level <= LOG_ERR && strcmp(facility, "FETCH") != 0)
        words_note(&source->words, text);
}

/* Called from rd_kafka_poll, on our own threads. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct kafka_source *source = opaque;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return; /* says less than what came before it */
    words_note(&source->words, reason);
    const char *login = strstr(reason, KAFKA_LOGIN_FAILED);
    if (strstr(reason, "certificate")) {
        pthread_mutex_lock(&source->words.lock);
        source->words.certificate_failures++;
        pthread_mutex_unlock(&source->words.lock);
    }
    if (code != RD_KAFKA_RESP_ERR__AUTHENTICATION || (login && strstr(login, KAFKA_LOGIN_AWAY)))
        return;
    pthread_mutex_lock(&source->words.lock);
    source->words.authentication_failures += login ? 2
                                                   : 1; /* a token endpoint means what it says */
    pthread_mutex_unlock(&source->words.lock);
}

/* Why a broker's certificate is not taken, by OpenSSL's number of it; librdkafka itself says only
 * that it is not. Called from its threads. */
static int on_certificate(rd_kafka_t *client, const char *broker, int32_t id, int *x509_error,
                          int depth, const char *data, size_t size, char *words, size_t words_size,
                          void *opaque)
{
    static const struct {
        int code;
        const char *words;
    } reasons[] = {{9, "it is not valid yet"},
                   {10, "it has expired"},
                   {18, "it is signed by itself, and not trusted"},
                   {19, "the authority that signed it is not trusted"},
                   {20, "the authority that signed it is not trusted"},
                   {21, "the authority that signed it is not trusted"},
                   {23, "it was revoked"},
                   {62, "it is another host's"},
                   {64, "it is another host's"}};
    struct kafka_source *source = opaque;
    (void)client, (void)id, (void)depth, (void)data, (void)size;
    if (*x509_error == 0)
        return 1;
    const char *why = "it cannot be verified";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].code == *x509_error)
            why = reasons[i].words;
    snprintf(words, words_size, "%s", why);
    pthread_mutex_lock(&source->words.lock);
    snprintf(source->words.certificate, sizeof source->words.certificate,
             "the certificate of %.150s: %s (%d)", broker, why, *x509_error);
    pthread_mutex_unlock(&source->words.lock);
    return 0;
}

/* Why brokers and we cannot agree, rather than what was tried last. */
void kafka_words_copy(struct kafka_source *source, char text[KAFKA_WORDS_SIZE])
{
    pthread_mutex_lock(&source->words.lock);
    if (source->words.certificate[0])
        snprintf(text, KAFKA_WORDS_SIZE, "%s", source->words.certificate);
    else
        memcpy(text, source->words.text, KAFKA_WORDS_SIZE);
    pthread_mutex_unlock(&source->words.lock);
}

void kafka_words_clear(struct kafka_source *source)
{
    pthread_mutex_lock(&source->words.lock);
    source->words.text[0] = source->words.certificate[0] = 0;
    source->words.authentication_failures = source->words.certificate_failures = 0;
    pthread_mutex_unlock(&source->words.lock);
}

static void failures(struct kafka_source *source, int *ret_logins, int *ret_certificates)
{
    pthread_mutex_lock(&source->words.lock);
    *ret_logins = source->words.authentication_failures;
    *ret_certificates = source->words.certificate_failures;
    pthread_mutex_unlock(&source->words.lock);
}

/* librdkafka says of a file that is not there only what OpenSSL's table has for it. */
static weir_status check_files(const struct weir_kafka_options *options, struct weir_error *reterr)
{
    static const char *const names[] = {"ssl.ca.location", "ssl.certificate.location",
                                        "ssl.key.location", "ssl.keystore.location"};
    for (size_t i = 0; i < options->property_count; i++) {
        const struct weir_kafka_property *property = &options->properties[i];
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strcmp(property->key, names[n]) == 0 && strcmp(property->value, "probe") != 0 &&
                access(property->value, R_OK) != 0)
                return weir_fail(reterr, WEIR_USAGE, "kafka: %s: %s cannot be read: %s",
                                 property->key, property->value, strerror(errno));
    }
    return WEIR_OK;
}

weir_status kafka_client_new(struct kafka_source *source, bool committed,
                             const struct kafka_sizes *sizes, rd_kafka_t **ret_client,
                             struct weir_error *reterr)
{
    rd_kafka_conf_t *conf;
    char words[512] = "";
    WEIR_TRY(check_files(&source->options, reterr));
    WEIR_TRY(kafka_conf_new(&source->options, committed, sizes, &conf, reterr));
    /* Never joined. But librdkafka 2.0.2 asks its own group for a new coordinator when the one of
     * ListConsumerGroupOffsets is not there, and a client without group.id has none to ask. */
    const char *group = source->options.group;
    if (committed && sizes->active == 0 && group && *group &&
        rd_kafka_conf_set(conf, "group.id", group, words, sizeof words) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_USAGE, "kafka: group %s: %s", group, words);
    }
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    if (!client) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_USAGE, "kafka: properties: %s", words);
    }
    weir_kafka_login_start(client);
    *ret_client = client;
    return WEIR_OK;
}

weir_status kafka_query_client(struct kafka_source *source, bool committed, rd_kafka_t **ret_client,
                               struct weir_error *reterr)
{
    static const struct kafka_sizes small = {.partition_bytes = 1u << 20, .active = 0};
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&source->lock);
    if (!source->query[committed])
        status = kafka_client_new(source, committed, &small, &source->query[committed], reterr);
    if (status == WEIR_OK)
        *ret_client = source->query[committed];
    pthread_mutex_unlock(&source->lock);
    return status;
}

weir_status kafka_status_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return WEIR_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return WEIR_NOT_FOUND;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return WEIR_DENIED;
    case RD_KAFKA_RESP_ERR__SSL: return WEIR_REFUSED;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: return WEIR_DECISION;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG: return WEIR_CORRUPT;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED: return WEIR_UNSUPPORTED;
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID: /* the group has members of its own */
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION: return WEIR_FAILED;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID: return WEIR_USAGE;
    default: return WEIR_UNAVAILABLE;
    }
}

bool kafka_is_unknown(rd_kafka_resp_err_t code)
{
    return kafka_status_of(code) == WEIR_NOT_FOUND;
}

static void hint_for(weir_status status, const char *words, struct weir_error *reterr)
{
    if (strstr(words, "another host's"))
        weir_error_hint(reterr, "name the brokers in bootstrap.servers, and they themselves in "
                                "advertised.listeners, as their certificates do");
    else if (strstr(words, "expired") || strstr(words, "not valid yet"))
        weir_error_hint(reterr,
                        "the brokers need a certificate of today; is the clock here right?");
    else if (strstr(words, "alert") && strstr(words, "certificate"))
        weir_error_hint(reterr, "the brokers want a certificate of ours that they know: tls "
                                "{cert_file, key_file} of the source, or lake.tls");
    else if (strstr(words, "certificate"))
        weir_error_hint(reterr, "name the authority that signed the brokers' certificates: tls "
                                "{ca_file} of the source, or lake.tls");
    else if (strstr(words, "ApiVersion"))
        weir_error_hint(reterr, "set security.protocol to what the brokers' listener speaks: SSL, "
                                "SASL_SSL, SASL_PLAINTEXT");
    else if (status == WEIR_UNAVAILABLE)
        weir_error_hint(reterr, "check bootstrap.servers and that the brokers' advertised "
                                "listeners can be reached from here; "
                                "`weir doctor` tries them");
    else if (status == WEIR_DENIED)
        weir_error_hint(reterr,
                        "check the credentials, and that they may Describe and Read the topic");
}

weir_status kafka_fail(struct kafka_source *source, rd_kafka_resp_err_t code,
                       struct weir_error *reterr, const char *format, ...)
{
    char what[400], words[KAFKA_WORDS_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    weir_status status = kafka_status_of(code);
    if (status == WEIR_UNAVAILABLE || status == WEIR_DENIED || status == WEIR_REFUSED)
        kafka_words_copy(source, words);
    weir_status failed = weir_fail(reterr, status, "kafka: %s: %s%s%s", what,
                                   rd_kafka_err2str(code), words[0] ? ": " : "", words);
    hint_for(status, words, reterr);
    return failed;
}

void kafka_patience_init(struct kafka_patience *patience, struct kafka_source *source,
                         rd_kafka_t *client)
{
    *patience = (struct kafka_patience){source, client, weir_steady_ms(source->context),
                                        SLICE_FIRST_MS};
}

/* What goes away by itself: brokers down, elections, queues. */
static bool code_is_passing(rd_kafka_resp_err_t code)
{
    return kafka_is_unknown(code) || kafka_status_of(code) == WEIR_UNAVAILABLE ||
           code == RD_KAFKA_RESP_ERR__SSL;
}

weir_status kafka_patience_again(struct kafka_patience *patience, rd_kafka_resp_err_t code,
                                 struct weir_error *reterr, const char *what)
{
    struct kafka_source *source = patience->source;
    int64_t waited = weir_steady_ms(source->context) - patience->started_ms;
    int64_t left = source->options.timeout_ms - waited;
    rd_kafka_poll(patience->client, 0);
    WEIR_TRY(weir_context_check(source->context, reterr));
    int logins, certificates;
    failures(source, &logins, &certificates);
    if (logins >= 2) /* once may be a broker that is still loading its users */
        return kafka_fail(source, RD_KAFKA_RESP_ERR__AUTHENTICATION, reterr, "%s", what);
    if (certificates >= 2 && waited > CERTIFICATE_PATIENCE_MS)
        return kafka_fail(source, RD_KAFKA_RESP_ERR__SSL, reterr, "%s", what);
    if (!code_is_passing(code) || (kafka_is_unknown(code) && waited > UNKNOWN_PATIENCE_MS))
        return kafka_fail(source, code, reterr, "%s", what);
    if (left <= 0)
        return kafka_fail(source, code, reterr, "%s: gave up after %.1f s", what,
                          (double)waited / 1000);
    bool timed_out = code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                     code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
    if (!timed_out)
        weir_sleep_ms(source->context,
                      left < 100 ? left : 100); /* the call itself may have come back at once */
    else if (patience->slice_ms < SLICE_LARGEST_MS)
        patience->slice_ms *=
            2; /* connected but slow: asking anew each half second would never be answered */
    if (patience->slice_ms > left)
        patience->slice_ms = (int)(left < 50 ? 50 : left);
    return WEIR_OK;
}

weir_status kafka_event_wait(struct kafka_source *source, rd_kafka_queue_t *queue, const char *what,
                             rd_kafka_event_t **ret_event, struct weir_error *reterr)
{
    int64_t until = weir_steady_ms(source->context) + source->options.timeout_ms + 1000;
    for (;;) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 100);
        if (event) {
            *ret_event = event;
            return WEIR_OK;
        }
        WEIR_TRY(weir_context_check(source->context, reterr));
        if (weir_steady_ms(source->context) >= until)
            return kafka_fail(source, RD_KAFKA_RESP_ERR__TIMED_OUT, reterr, "%s", what);
    }
}
