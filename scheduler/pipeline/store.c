/* The store of a lake, as the pipeline file names it. */
#include "connectors/file/local.h"
#include "connectors/s3/s3.h"

#include "scheduler/pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

#define TENANT_RETRY_MS 15000

/* How long a request that fails is tried again; 0: as long as the store holds right. The others of
 * several tenants wait for the one whose store is away, and the next run asks it again. */
static int64_t retry_ms(const struct weir_pipeline *pipeline)
{
    const char *text = getenv("WEIR_TEST_S3_RETRY_MS");
    if (text && atoll(text) > 0)
        return atoll(text);
    return pipeline->tenancy ? TENANT_RETRY_MS : 0;
}

weir_status weir_pipeline_store_open(struct weir_context *context,
                                     const struct weir_pipeline *pipeline,
                                     struct weir_object_store *ret_store, struct weir_error *reterr)
{
    char bucket[64], prefix[1024]; /* copied by the store */
    if (strncmp(pipeline->warehouse, "s3://", 5) != 0)
        return weir_store_local_new(context, pipeline->warehouse, ret_store, reterr);
    if (!weir_s3_uri_split(pipeline->warehouse, bucket, prefix))
        return weir_fail(reterr, WEIR_USAGE, "%s is no s3:// address", pipeline->warehouse);
    const struct weir_s3_config *s3 = &pipeline->s3;
    struct weir_s3_options options = {.bucket = bucket,
                                      .prefix = prefix,
                                      .region = s3->region ? s3->region : pipeline->region,
                                      .endpoint = s3->endpoint,
                                      .path_style = s3->path_style ? WEIR_S3_ADDRESSING_PATH
                                                                   : WEIR_S3_ADDRESSING_AUTO,
                                      .account = s3->account,
                                      .kms_key = s3->kms_key,
                                      .tls_ca_file = s3->tls.ca_file,
                                      .tls_cert_file = s3->tls.cert_file,
                                      .tls_key_file = s3->tls.key_file,
                                      .retry_ms = retry_ms(pipeline),
                                      .profile = s3->profile,
                                      .role_arn = s3->role_arn,
                                      .external_id = s3->role_external_id};
    return weir_store_s3_new(context, &options, ret_store, reterr);
}
