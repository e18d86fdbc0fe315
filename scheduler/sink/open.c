/* The receiver that the pipeline file names. */
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
