//! Clusters whose API server is not ours: what can be had, and by which commands.

/// docs.aws.amazon.com, "Send control plane logs to CloudWatch Logs", and the CLI's
/// reference for `logs`.
pub(super) const EKS: &str = "\
# EKS: kube-apiserver's flags are not yours, so no audit webhook, no AdmissionConfiguration
# and no policy of your own. What can be had: raw audit events in CloudWatch Logs, minutes late.

# Once: switch the log on. The audit policy is AWS's; custom resources are in it with their
# annotations, so testimonies, numbers and gaps work.
aws eks update-cluster-config --name CLUSTER \\
  --logging '{\"clusterLogging\":[{\"types\":[\"audit\"],\"enabled\":true}]}'

# Import what happened since:
aws logs filter-log-events --log-group-name /aws/eks/CLUSTER/cluster \\
  --log-stream-name-prefix kube-apiserver-audit \\
  --start-time $(date -d '1 hour ago' +%s000) --output json | docket import -

# A longer time goes through S3; docket reads the files as they are:
aws logs create-export-task --log-group-name /aws/eks/CLUSTER/cluster \\
  --log-stream-name-prefix kube-apiserver-audit --from FROM_MS --to TO_MS \\
  --destination BUCKET --destination-prefix audit
aws s3 cp --recursive s3://BUCKET/audit . && docket import --format eks $(find . -name '*.gz')

# What can't be had:
#   certainty at once: nothing is on record before it is imported. Repeat the first command
#     more often than it reaches back; what overlaps is not doubled.
#   messages over 256 KB: CloudWatch cuts them. What stands before the cut is kept, marked
#     `derived: eks-cut`.
#   client certificates at the hooks: a missing number is suspicion, not proof. Let a
#     NetworkPolicy admit only the API server to the webhook.";

/// learn.microsoft.com, "Monitor AKS" (resource logs), table references AKSAudit and
/// AKSAuditAdmin.
pub(super) const AKS: &str = "\
# AKS: kube-apiserver's flags are not yours, so no audit webhook, no AdmissionConfiguration
# and no policy of your own. What can be had: its audit log as resource log of Azure Monitor.

# Once: category kube-audit-admin holds all writes (kube-audit: reads too, and exec by GET).
# To a storage account or an Event Hub come raw events: prefer them.
az monitor diagnostic-settings create --name docket --resource CLUSTER_RESOURCE_ID \\
  --storage-account ACCOUNT --logs '[{\"category\":\"kube-audit-admin\",\"enabled\":true}]'

# Import: the blobs are lines of records.
az storage blob download-batch --account-name ACCOUNT --destination . \\
  --source insights-logs-kube-audit-admin
docket import $(find . -name PT1H.json)

# From a Log Analytics workspace, resource-specific tables or AzureDiagnostics (log_s):
az monitor log-analytics query --workspace WORKSPACE_ID --output json --analytics-query \\
  'AKSAuditAdmin | where TimeGenerated > ago(1h) and Stage == \"ResponseComplete\"' | docket import -

# What can't be had:
#   certainty at once: nothing is on record before it is imported. Reach back further than
#     you repeat; what overlaps is not doubled.
#   from table rows, who impersonated: they are marked `derived: aks-row`, have an id of
#     their own and are linked with raw events of the same request, never merged. Import one
#     of the two.
#   client certificates at the hooks: a missing number is suspicion, not proof. Let a
#     NetworkPolicy admit only the API server to the webhook.";

/// cloud.google.com, "GKE audit logging", and gcloud's reference for `logging read`.
pub(super) const GKE: &str = "\
# GKE: kube-apiserver's flags are not yours, so no audit webhook, no AdmissionConfiguration
# and no policy of your own. What can be had: Admin Activity audit logs in Cloud Logging. They
# are always on, and hold writes with the annotations of webhooks as labels.

# Import what happened since:
gcloud logging read --freshness=1h --order=asc --format=json \\
  'resource.type=\"k8s_cluster\" AND resource.labels.cluster_name=\"CLUSTER\"
   AND logName:\"cloudaudit.googleapis.com%2Factivity\"
   AND protoPayload.serviceName=\"k8s.io\"' | docket import --format gke -

# A longer time goes through a sink to Cloud Storage; its files are lines of entries:
gcloud logging sinks create docket storage.googleapis.com/BUCKET \\
  --log-filter='resource.type=\"k8s_cluster\" AND protoPayload.serviceName=\"k8s.io\"'
gcloud storage cp --recursive gs://BUCKET/cloudaudit.googleapis.com . && \\
  docket import --format gke $(find . -name '*.json')

# What can't be had:
#   raw events: groups, impersonation and the request's address are not in an entry. Records
#     are marked `derived: gke`, and have an id of their own: hash of cluster, insertId,
#     timestamp, methodName, resourceName and principal. A second import changes nothing.
#   certainty at once: nothing is on record before it is imported.
#   client certificates at the hooks: a missing number is suspicion, not proof. Let a
#     NetworkPolicy admit only the API server to the webhook.";

/// The same on all of them: the API server's front proxy is set up, and its authority told.
pub(super) const KUBECTL: &str = "\
# kubectl get denials works here as anywhere: the API server has its front proxy's certificate.
# The webhook asks for it; what to give it as --api-front-proxy-ca and --api-front-proxy-name:
kubectl get configmap extension-apiserver-authentication -n kube-system \\
  -o jsonpath='{.data.requestheader-client-ca-file}' > front-proxy-ca.crt
kubectl get configmap extension-apiserver-authentication -n kube-system \\
  -o jsonpath='{.data.requestheader-allowed-names}'";
