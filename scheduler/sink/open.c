/* The receiver that the pipeline file names, and what a delivery would meet there. */
#include "scheduler/sink/sink_int.h"

weir_status sink_open(struct weir_context *context, const struct weir_sink_config *config,
                      struct weir_sink *ret_sink, struct weir_error *reterr)
{
    switch (config->kind) {
    case WEIR_SINK_OPENSEARCH:
        return weir_opensearch_sink_new(context, &config->opensearch, ret_sink, reterr);
    case WEIR_SINK_WEBHOOK:
        return weir_webhook_sink_new(context, &config->webhook, ret_sink, reterr);
    case WEIR_SINK_KAFKA: break;
    }
    return weir_kafka_sink_new(context, &config->kafka, ret_sink, reterr);
}

const char *sink_kind(const struct weir_sink_config *config)
{
    static const char *const names[] = {"opensearch", "webhook", "kafka"};
    return names[config->kind];
}

static weir_status probe_bare(struct weir_context *context, const struct weir_sink_config *config,
                              char *ret_words, size_t size, struct weir_error *reterr)
{
    struct weir_sink sink;
    WEIR_TRY(sink_open(context, config, &sink, reterr));
    weir_status status = sink.operations->probe(sink.self, NULL, ret_words, size, reterr);
    sink.operations->free(sink.self);
    return status;
}

weir_status weir_sink_probe(struct weir_context *context, const struct weir_sink_options *options,
                            char *ret_words, size_t size, struct weir_error *reterr)
{
    struct delivery delivery;
    bool there;
    if (!options->lake)
        return probe_bare(context, options->sink, ret_words, size, reterr);
    weir_status status = delivery_open(&delivery, options, &there, reterr);
    if (status == WEIR_OK && !there) {
        status = probe_bare(context, options->sink, ret_words, size, reterr);
    } else if (status == WEIR_OK) {
        status = delivery_ready(&delivery, reterr);
        if (status == WEIR_OK)
            status = delivery.sink.operations->probe(delivery.sink.self, &delivery.row, ret_words,
                                                     size, reterr);
    }
    delivery_close(&delivery);
    return status;
}
