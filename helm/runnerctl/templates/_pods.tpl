{{/* What pods have in common. */}}

{{/* Pod Security Standard `restricted`. */}}
{{- define "runnerctl.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  {{- if .localhostProfile }}
  type: Localhost
  localhostProfile: {{ .localhostProfile }}
  {{- else }}
  type: RuntimeDefault
  {{- end }}
{{- end -}}

{{- define "runnerctl.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "runnerctl.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* One zone or node that fails takes a share, not all. Takes (dict "context" $ "component" "api"). */}}
{{- define "runnerctl.spread" -}}
{{- if .context.Values.topologySpreadConstraints -}}
{{ toYaml .context.Values.topologySpreadConstraints }}
{{- else -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "runnerctl.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* What both programs are told. */}}
{{- define "runnerctl.commonEnv" -}}
- name: LOG_FORMAT
  value: {{ .Values.config.logFormat | quote }}
- name: LOG_LEVEL
  value: {{ .Values.config.logLevel | quote }}
{{- with .Values.config.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- if .Values.caBundle.configMap }}
# The public authorities of the image, and the private ones.
- name: SSL_CERT_FILE
  value: /etc/ssl/certs/ca-certificates.crt
- name: SSL_CERT_DIR
  value: /etc/runnerctl/ca
{{- end }}
{{- end -}}

{{/* The limit is what the supervisor lets its children hold, all at once: each run's isolate and 128 MiB beside it, then
it kills. The template and a spare wait beside the runs, with 48 MiB together; a slot at rest requests as much. */}}
{{- define "runnerctl.workerResources" -}}
{{- if .worker.resources -}}
{{ toYaml .worker.resources }}
{{- else -}}
{{- $slots := int .worker.concurrency -}}
requests:
  cpu: {{ mul 250 $slots }}m
  memory: {{ add 128 (mul 48 (add 1 $slots)) }}Mi
limits:
  memory: {{ add 128 48 (mul (add 128 (int .context.Values.config.isolateMemoryMb)) $slots) }}Mi
{{- end -}}
{{- end -}}

{{/* A run that begins just before the worker is told to end must be able to end by itself. */}}
{{- define "runnerctl.drainTimeout" -}}
{{- $longest := divf (addf .Values.config.executionTimeoutMs .Values.config.initTimeoutMs) 1000 | ceil | int -}}
{{- if lt (int .Values.worker.drainTimeoutS) $longest -}}
{{- fail (printf "worker.drainTimeoutS must be at least %d: a run may take config.executionTimeoutMs + config.initTimeoutMs" $longest) -}}
{{- end -}}
{{- int .Values.worker.drainTimeoutS -}}
{{- end -}}

{{/* Volumes of a program's pods. Takes (dict "context" $ "values" …). */}}
{{- define "runnerctl.volumes" -}}
# The root file system is read-only; packages of scripts are unpacked here.
- { name: tmp, emptyDir: { sizeLimit: 1Gi } }
{{- with .context.Values.caBundle }}
{{- if .configMap }}
- name: ca-bundle
  configMap:
    name: {{ .configMap }}
    items: [{ key: {{ .key | quote }}, path: ca.crt }]
{{- end }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "runnerctl.volumeMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if .context.Values.caBundle.configMap }}
- { name: ca-bundle, mountPath: /etc/runnerctl/ca, readOnly: true }
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name of a program's service account. Takes (dict "context" $ "component" "api"). */}}
{{- define "runnerctl.serviceAccount" -}}
{{- (get .context.Values .component).serviceAccount.name | default (printf "%s-%s" (include "runnerctl.fullname" .context) .component) -}}
{{- end -}}

{{/* The most replicas of a program, in a rollout as well: an api more, a quarter of the workers more. */}}
{{- define "runnerctl.mostApis" -}}
{{- with .Values.api -}}
{{- add 1 (ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled) -}}
{{- end -}}
{{- end -}}
{{- define "runnerctl.mostWorkers" -}}
{{- with .Values.worker -}}
{{- $replicas := ternary .replicas .autoscaling.maxReplicas (eq .autoscaling.mode "none") -}}
{{- add $replicas (ceil (divf $replicas 4) | int) -}}
{{- end -}}
{{- end -}}

{{/* Connections to PostgreSQL at the most replicas: those of each pool, one for notifications, and an api's one for probes;
two of the migration, two of KEDA. */}}
{{- define "runnerctl.databaseConnections" -}}
{{- $apis := mul (include "runnerctl.mostApis" .) (add 2 .Values.api.databasePoolSize) -}}
{{- $workers := mul (include "runnerctl.mostWorkers" .) (add 1 .Values.worker.databasePoolSize) -}}
{{- range .Values.worker.groups -}}
{{- $replicas := add .replicas (ceil (divf .replicas 4) | int) -}}
{{- $workers = add $workers (mul $replicas (add 1 (.databasePoolSize | default $.Values.worker.databasePoolSize))) -}}
{{- end -}}
{{- $keda := ternary 2 0 (eq .Values.worker.autoscaling.mode "keda") -}}
{{- add $apis $workers $keda 2 -}}
{{- end -}}

{{/* Refuses values that may need more connections than there are. */}}
{{- define "runnerctl.checkDatabaseBudget" -}}
{{- $needed := include "runnerctl.databaseConnections" . | int -}}
{{- $given := int .Values.databaseBudget.maxConnections -}}
{{- if and $given (gt $needed $given) -}}
{{- fail (printf "databaseBudget.maxConnections is %d, and this release may need %d: lower the maximum of replicas or the databasePoolSize of api or worker" $given $needed) -}}
{{- end -}}
{{- end -}}
