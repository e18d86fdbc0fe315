/* Where hosts lie, and what policies with regions say of catalogs, sinks, registries and keys. */
#include "scheduler/pipeline/places.h"
#include "tests/unit/pipeline/help.h"

TestSuite(places, .init = help_setup, .fini = help_teardown);

static const struct {
    const char *address;
    enum weir_place place;
    const char *region;
} hosts[] = {
    {"https://s3.eu-west-2.amazonaws.com", WEIR_PLACE_REGION, "eu-west-2"},
    {"https://s3-eu-west-1.amazonaws.com/x", WEIR_PLACE_REGION, "eu-west-1"},
    {"https://search-a-b.EU-WEST-2.es.amazonaws.com:443/", WEIR_PLACE_REGION, "eu-west-2"},
    {"https://x.eu-west-2.aoss.amazonaws.com.", WEIR_PLACE_REGION, "eu-west-2"},
    {"https://s3.cn-north-1.amazonaws.com.cn", WEIR_PLACE_REGION, "cn-north-1"},
    {"https://glue.us-gov-west-1.amazonaws.com/iceberg", WEIR_PLACE_REGION, "us-gov-west-1"},
    {"https://a.execute-api.ap-southeast-2.api.aws", WEIR_PLACE_REGION, "ap-southeast-2"},
    {"https://abc.lambda-url.me-central-1.on.aws", WEIR_PLACE_REGION, "me-central-1"},
    /* the user's own parts may look like regions */
    {"b-1.eu-west-1.x.kafka.us-east-1.amazonaws.com:9098", WEIR_PLACE_REGION, "us-east-1"},
    {"my-cluster-1.kafka.eu-west-2.amazonaws.com", WEIR_PLACE_REGION, "eu-west-2"},
    {"https://vpce-1-eu-west-2a.s3.eu-west-2.vpce.amazonaws.com", WEIR_PLACE_REGION, "eu-west-2"},
    {"SASL_SSL://b-2.x.kafka.eu-west-2.amazonaws.com:9094", WEIR_PLACE_REGION, "eu-west-2"},
    {"http://user:word@s3.eu-west-2.amazonaws.com", WEIR_PLACE_REGION, "eu-west-2"},
    /* names that only look like AWS's */
    {"https://s3.eu-west-2.amazonaws.com.evil.example", WEIR_PLACE_UNKNOWN, ""},
    {"https://s3.eu-west-2.amazonaws.com@evil.example/", WEIR_PLACE_UNKNOWN, ""},
    {"https://evil.example/s3.eu-west-2.amazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"https://evil.example?s3.eu-west-2.amazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"https://eu-west-2xamazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"https://localhost@evil.example/", WEIR_PLACE_UNKNOWN, ""},
    {"https://localhost.evil.example/", WEIR_PLACE_UNKNOWN, ""},
    {"http://127.evil.example", WEIR_PLACE_UNKNOWN, ""},
    {"https://s3.amazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"https://amazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"https://a-b-1.amazonaws.com", WEIR_PLACE_UNKNOWN, ""},
    {"opensearch.search.svc:9200", WEIR_PLACE_UNKNOWN, ""},
    {"http://10.0.0.1", WEIR_PLACE_UNKNOWN, ""},
    {"", WEIR_PLACE_UNKNOWN, ""},
    {"http://", WEIR_PLACE_UNKNOWN, ""},
    {"http://[", WEIR_PLACE_UNKNOWN, ""},
    {"http://[::1]:9200", WEIR_PLACE_HERE, ""},
    {"http://localhost:9200", WEIR_PLACE_HERE, ""},
    {"http://LOCALHOST", WEIR_PLACE_HERE, ""},
    {"http://a.localhost", WEIR_PLACE_HERE, ""},
    {"127.0.0.1:9092", WEIR_PLACE_HERE, ""},
    {"127.8.1.3", WEIR_PLACE_HERE, ""},
};

Test(places, hosts)
{
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char region[WEIR_REGION_SIZE];
        /* the text ends where its size says */
        char *copy = malloc(strlen(hosts[i].address) + 1);
        memcpy(copy, hosts[i].address, strlen(hosts[i].address));
        enum weir_place place = weir_place_of(copy, strlen(hosts[i].address), region);
        free(copy);
        cr_expect_eq(place, hosts[i].place, "%s: %d", hosts[i].address, place);
        cr_expect_str_eq(region, hosts[i].region, "%s", hosts[i].address);
    }
}

Test(places, arns)
{
    char region[WEIR_REGION_SIZE], account[16];
    cr_assert(
        weir_place_of_arn("arn:aws:kms:eu-west-2:111122223333:key/a:b", "kms", region, account));
    cr_assert_str_eq(region, "eu-west-2");
    cr_assert_str_eq(account, "111122223333");
    cr_assert(weir_place_of_arn("arn:aws-cn:kms::1:alias/x", "kms", region, account));
    cr_assert_str_eq(region, "");
    static const char *const wrong[] = {"",
                                        "arn",
                                        "arn:aws:kms:eu-west-2:111122223333:",
                                        "arn:aws:s3:eu-west-2:111122223333:key/a",
                                        "arn:aws:kms:eu-west-2:11112222333344445555:key/a",
                                        "urn:aws:kms:eu-west-2:111122223333:key/a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(weir_place_of_arn(wrong[i], "kms", region, account), "%s", wrong[i]);
}

/* A file whose lake is eu-west-2's, with `more` of the lake's keys and `rest` behind the tables. */
static struct weir_pipeline *read_with(const char *more, const char *rest)
{
    char text[4096];
    snprintf(text, sizeof text,
             "version: 1\nname: t\n"
             "lake: {warehouse: \"s3://acme\", region: eu-west-2, classification: [GDPR, HOME]%s}\n"
             "sources: {s: {kafka: {topics: [t], properties: {bootstrap.servers: \"x:1\"}}}}\n"
             "tables: {bronze.t: {source: s, columns: {a: int required}}}\n%s"
             "policies: {GDPR: {regions: [eu-west-2, eu-west-1]}, HOME: {regions: eu-west-2}, "
             "OTHER: {regions: us-east-1}}\n",
             more, rest);
    return read_text(text);
}

static void good(const char *more, const char *rest)
{
    struct weir_pipeline *pipeline = read_with(more, rest);
    cr_expect_not_null(pipeline, "%s %s\n%s", more, rest, reported);
    weir_pipeline_free(pipeline);
}

static void wrong(const char *more, const char *rest, const char *words)
{
    struct weir_pipeline *pipeline = read_with(more, rest);
    cr_expect_null(pipeline, "%s %s", more, rest);
    cr_expect(strstr(reported, words), "%s %s\n--- wanted\n%s\n--- got\n%s", more, rest, words,
              reported);
    cr_expect_eq(last_error.status, WEIR_USAGE);
    weir_pipeline_free(pipeline);
}

#define SINK(to)        "sinks: {k: {from: bronze.t, " to "}}\n"
#define HOOK(url, more) SINK("webhook: {url: \"" url "\", id: a}" more)
#define BROKERS(list, more)                                                                        \
    SINK("kafka: {topic: u, key: a, properties: {bootstrap.servers: \"" list "\"}}" more)
#define REST(uri, more) ", catalog: {rest: {uri: \"" uri "\"" more "}}"

Test(places, sinks)
{
    good("", HOOK("http://localhost:1/x", ""));
    good("", HOOK("https://x.execute-api.eu-west-2.amazonaws.com/x", ""));
    good("", HOOK("https://hooks.example/x", ", region: eu-west-2"));
    wrong("", HOOK("https://hooks.example/x", ""),
          "weir.yaml:6:45: sinks.k.webhook.url: no region can be told from the name of its host, "
          "and policy GDPR allows only eu-west-2, eu-west-1\n");
    wrong("", HOOK("https://hooks.example/x", ""),
          "  hint: sinks.k.region: REGION says where it lies\n");
    wrong("", HOOK("https://hooks.example/x", ", region: us-east-1"),
          "sinks.k.region: us-east-1 is not among the regions of policy GDPR (eu-west-2, "
          "eu-west-1)\n");
    wrong("", HOOK("https://hooks.example/x", ", region: eu-west-1"),
          "sinks.k.region: eu-west-1 is not among the regions of policy HOME (eu-west-2)\n");
    /* what the name says is not talked away */
    wrong("", HOOK("https://x.execute-api.us-east-1.amazonaws.com/", ", region: eu-west-2"),
          "sinks.k.webhook.url: us-east-1 is not among the regions of policy HOME (eu-west-2)\n");
    good("", BROKERS("127.0.0.1:9092, b-1.x.kafka.eu-west-2.amazonaws.com:9098", ""));
    good("", BROKERS("k1:9092,k2:9092", ", region: eu-west-2"));
    wrong("", BROKERS("localhost:9092,k2:9092", ""),
          "sinks.k.kafka.properties.bootstrap.servers: no region can be told");
    wrong("",
          BROKERS("b-1.x.kafka.eu-west-2.amazonaws.com:9098, b-2.x.kafka.us-east-1.amazonaws.com:1",
                  ""),
          "sinks.k.kafka.properties.bootstrap.servers: us-east-1 is not among");
    wrong("",
          SINK("kafka: {topic: u, key: a, auth: {msk_iam: {region: us-east-1}}, properties: "
               "{bootstrap.servers: \"b-1.x.kafka.eu-west-2.amazonaws.com:9098\"}}"),
          "sinks.k.kafka.auth.msk_iam.region: us-east-1 is not among");
    good("", SINK("opensearch: {url: \"https://search.example\", index: i, id: a, auth: {sigv4: "
                  "{region: eu-west-2}}}"));
    wrong("", SINK("opensearch: {url: \"https://search.example\", index: i, id: a}"),
          "sinks.k.opensearch.url: no region can be told");
    wrong("",
          SINK("opensearch: {url: \"https://search.example\", index: i, id: a, auth: {sigv4: "
               "{region: us-west-2}}}, region: eu-west-2"),
          "sinks.k.opensearch.auth.sigv4.region: us-west-2 is not among");
    cr_expect_null(strstr(reported, "search.example is"));
}

Test(places, catalogs)
{
    good(REST("http://[::1]:19120/iceberg", ""), "");
    good(REST("https://catalog.example", ", region: eu-west-2"), "");
    good(REST("https://glue.eu-west-2.amazonaws.com/iceberg", ", auth: {sigv4: {}}"), "");
    good(REST("https://catalog.example", ", auth: {sigv4: {region: eu-west-2}}"), "");
    wrong(REST("https://catalog.example", ""), "",
          "lake.catalog.rest.uri: no region can be told from the name of its host");
    wrong(REST("https://catalog.example", ""), "", "lake.catalog.rest.region: REGION says");
    wrong(REST("https://glue.us-east-1.amazonaws.com/iceberg", ""), "",
          "lake.catalog.rest.uri: us-east-1 is not among the regions of policy GDPR");
    wrong(REST("https://catalog.example", ", region: eu-west-1"), "",
          "lake.catalog.rest.region: eu-west-1 is not among the regions of policy HOME");
    wrong(
        REST("https://catalog.example", ", region: eu-west-2, auth: {sigv4: {region: us-east-1}}"),
        "", "lake.catalog.rest.auth.sigv4.region: us-east-1 is not among");
}

Test(places, others)
{
    good("", "lineage: {openlineage: {url: \"http://localhost:5000\"}}\n");
    good("", "lineage: {openlineage: {url: \"http://marquez\", region: eu-west-2}}\n");
    wrong("", "lineage: {openlineage: {url: \"http://marquez\"}}\n",
          "lineage.openlineage.url: no region can be told");
    good(", s3: {endpoint: \"https://store.example\"}", ""); /* asked before the first write */
    wrong(", s3: {endpoint: \"https://s3.us-east-1.amazonaws.com\"}", "",
          "lake.s3.endpoint: us-east-1 is not among");
}

/* The gateway moves records to the brokers of its sources. */
Test(places, gateway)
{
#define GATEWAY(brokers, more, keys)                                                               \
    "version: 1\nname: t\nlake: {warehouse: ./l, region: eu-west-2, classification: GDPR}\n"       \
    "sources: {s: {kafka: {topics: [t], transactional: true, properties: {bootstrap.servers: "     \
    "\"" brokers "\"}" more "}}}\ntables: {bronze.t: {source: s, columns: {a: int required}}}\n"   \
    "gateway: {tokens: none" keys "}\npolicies: {GDPR: {regions: [eu-west-2]}}\n"
    cr_expect_null(read_text(GATEWAY("k:1", "", "")));
    cr_expect(strstr(reported, "weir.yaml:4:90: sources.s.kafka.properties.bootstrap.servers: no "
                               "region can be told from the name of its host"),
              "%s", reported);
    cr_expect(strstr(reported, "hint: sources.s.kafka.region: REGION says"), "%s", reported);
    cr_expect_null(read_text(GATEWAY("k:1", ", region: us-east-1", ", sources: [s]")));
    cr_expect(strstr(reported, "sources.s.kafka.region: us-east-1 is not among"), "%s", reported);
    weir_pipeline_free(read_good(GATEWAY("k:1", ", region: eu-west-2", "")));
    weir_pipeline_free(read_good(GATEWAY("b-1.x.kafka.eu-west-2.amazonaws.com:1", "", "")));
}

/* A lake that no policy for personal columns holds for, where there are such. */
Test(places, classes)
{
#define CLASSES(classification, policies)                                                          \
    "version: 1\nname: t\nlake: {warehouse: ./l, region: r1, classification: [" classification     \
    "]}\n"                                                                                         \
    "sources: {s: {files: x.ndjson}}\n"                                                            \
    "tables: {bronze.t: {source: s, columns: {a: int required, b: {type: string, class: "          \
    "personal}, c: {type: string, class: pseudonymous}}}}\npolicies: {" policies "}\n"
    weir_pipeline_free(read_good(CLASSES("", "")));
    weir_pipeline_free(read_good(CLASSES("", "A: {regions: r1}")));
    weir_pipeline_free(read_good(CLASSES("A", "A: {personal: {sinks: []}}")));
    weir_pipeline_free(
        read_good(CLASSES("A, B", "A: {regions: r1}, B: {personal: {unmask_with: []}}")));
    cr_expect_null(read_text(CLASSES("A", "A: {regions: r1}, B: {personal: {sinks: []}}")));
    cr_expect_str_eq(
        reported,
        "weir.yaml:5:84: tables.bronze.t.columns.b is personal, and no policy that says what such "
        "columns must keep to holds for this lake (there are: B)\n"
        "  tables: {bronze.t: {source: s, columns: {a: int required, b: {type: string, class: "
        "personal}, c: {type: string...\n"
        "                                                                                     ^\n"
        "  hint: lake.classification: [B]\n",
        "%s", reported);
    cr_expect_null(read_text(CLASSES("C", "B: {personal: {sinks: []}}")));
    cr_expect_null(strstr(reported, "is personal"), "%s", reported);
}

Test(places, keys)
{
#define KEY_ARN(region, account) ", s3: {kms_key: \"arn:aws:kms:" region ":" account ":key/1-2\""
    good(KEY_ARN("eu-west-2", "111122223333") ", account: \"111122223333\"}", "");
    good(", s3: {kms_key: alias/lake}", "");
    wrong(KEY_ARN("eu-west-1", "111122223333") "}", "",
          "lake.s3.kms_key: the key lies in eu-west-1, and the lake in eu-west-2\n");
    wrong(KEY_ARN("eu-west-2", "111122223334") ", account: \"111122223333\"}", "",
          "lake.s3.kms_key: the key belongs to account 111122223334, and the lake to "
          "111122223333 (lake.s3.account)\n");
    wrong(", s3: {kms_key: \"arn:aws:s3:::bucket\"}", "", "lake.s3.kms_key: no ARN of a KMS key\n");
}
