import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One OpenSearch node on loopback, run as it stands (java OpenSearchNode.java FOLDER PORT TRANSPORT_PORT): the
 * package's own program ends at once. The disk watermarks are off, since a test machine may well be nearly full.
 */
public class OpenSearchNode {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner node = new OpenSearchRunner();
        node.onBuild((number, settings) -> {
            settings.put("http.port", Integer.parseInt(arguments[1]));
            settings.put("transport.port", Integer.parseInt(arguments[2]));
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            settings.putList("discovery.seed_hosts");
            settings.remove("cluster.initial_cluster_manager_nodes");
            settings.remove("cluster.initial_master_nodes");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception ignored) {
                // it ends anyway
            }
        }));
        node.build(OpenSearchRunner.newConfigs().basePath(arguments[0]).clusterName("weir").numOfNode(1));
        Thread.currentThread().join();
    }
}
