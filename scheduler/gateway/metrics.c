/* /metrics in Prometheus' text form. Sources are labels; tenants, devices and tokens are not. */
#include "scheduler/gateway/gateway_int.h"

static weir_status print_one(struct weir_buffer *out, const char *name, const char *kind,
                             const char *help, int64_t value, struct weir_error *reterr)
{
    return weir_buffer_print(out, reterr, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name,
                             kind, name, (long long)value);
}

static weir_status print_spool(struct gateway *gateway, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    struct weir_spool_counts counts;
    weir_spool_count(gateway->spool, &counts);
    WEIR_TRY(print_one(out, "weir_gateway_spool_records", "gauge", "Records that wait for Kafka.",
                       counts.records, reterr));
    WEIR_TRY(
        print_one(out, "weir_gateway_spool_bytes", "gauge", "Their bytes.", counts.bytes, reterr));
    WEIR_TRY(print_one(out, "weir_gateway_spool_limit_bytes", "gauge", "gateway.spool.limit.",
                       (int64_t)gateway->config->spool_limit, reterr));
    WEIR_TRY(print_one(out, "weir_gateway_dropped_records_total", "counter",
                       "Accepted records that were dropped because the spool was full.",
                       counts.dropped, reterr));
    return print_one(out, "weir_gateway_dead_records_total", "counter",
                     "Accepted records that the brokers will never take; kept in the spool.",
                     counts.dead, reterr);
}

static weir_status print_requests(struct gateway *gateway, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr,
                               "# HELP weir_gateway_requests_total Requests by answer.\n"
                               "# TYPE weir_gateway_requests_total counter\n"));
    for (int i = 0; i < STATUS_SLOTS; i++) {
        int64_t count = atomic_load(&gateway->answered[i]);
        if (count)
            WEIR_TRY(weir_buffer_print(out, reterr,
                                       "weir_gateway_requests_total{code=\"%d\"} %lld\n", i + 100,
                                       (long long)count));
    }
    return WEIR_OK;
}

static weir_status print_sources(struct gateway *gateway, struct weir_buffer *out,
                                 struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(
        out, reterr,
        "# HELP weir_gateway_kafka_records_total Records that Kafka has acknowledged.\n"
        "# TYPE weir_gateway_kafka_records_total counter\n"));
    for (size_t i = 0; i < gateway->source_count; i++)
        WEIR_TRY(weir_buffer_print(
            out, reterr, "weir_gateway_kafka_records_total{source=\"%s\"} %lld\n",
            gateway->sources[i].config->name, (long long)atomic_load(&gateway->sources[i].sent)));
    WEIR_TRY(weir_buffer_print(out, reterr,
                               "# HELP weir_gateway_kafka_up 1 when the last send went through.\n"
                               "# TYPE weir_gateway_kafka_up gauge\n"));
    for (size_t i = 0; i < gateway->source_count; i++)
        WEIR_TRY(weir_buffer_print(out, reterr, "weir_gateway_kafka_up{source=\"%s\"} %d\n",
                                   gateway->sources[i].config->name,
                                   atomic_load(&gateway->sources[i].reached) ? 1 : 0));
    return WEIR_OK;
}

weir_status metrics_print(struct gateway *gateway, struct weir_buffer *out,
                          struct weir_error *reterr)
{
    static const struct {
        const char *name, *help;
    } counters[COUNTED_KINDS] = {
        [COUNTED_ACCEPTED] = {"weir_gateway_accepted_records_total", "Records answered with 202."},
        [COUNTED_REFUSED] = {"weir_gateway_refused_records_total",
                             "Records that no table would take."},
        [COUNTED_REPEATED] = {"weir_gateway_repeated_requests_total",
                              "Requests whose Idempotency-Key was answered before."},
        [COUNTED_BYTES] = {"weir_gateway_accepted_bytes_total", "Bytes of accepted records."},
        [COUNTED_SYNCS] = {"weir_gateway_spool_syncs_total", "Groups of requests put on disk."}};
    WEIR_TRY(print_requests(gateway, out, reterr));
    for (int i = 0; i < COUNTED_KINDS; i++)
        WEIR_TRY(print_one(out, counters[i].name, "counter", counters[i].help,
                           atomic_load(&gateway->counted[i]), reterr));
    WEIR_TRY(print_one(out, "weir_gateway_requests_under_way", "gauge",
                       "Requests that are being answered.", weir_http_server_busy(gateway->server),
                       reterr));
    WEIR_TRY(print_one(out, "weir_gateway_memory_bytes", "gauge", "Memory of requests.",
                       (int64_t)atomic_load(&gateway->account.used), reterr));
    WEIR_TRY(print_spool(gateway, out, reterr));
    return print_sources(gateway, out, reterr);
}
