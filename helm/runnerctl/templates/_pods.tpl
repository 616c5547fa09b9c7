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
{{- end -}}

{{/* The limit is what the supervisor lets its children hold, all at once: each run's isolate and 128 MiB beside it, then
it kills. The template and a spare wait beside the runs, with 48 MiB together; a slot at rest requests as much. */}}
{{- define "runnerctl.workerResources" -}}
{{- if .Values.worker.resources -}}
{{ toYaml .Values.worker.resources }}
{{- else -}}
{{- $slots := int .Values.worker.concurrency -}}
requests:
  cpu: {{ mul 250 $slots }}m
  memory: {{ add 128 (mul 48 (add 1 $slots)) }}Mi
limits:
  memory: {{ add 128 48 (mul (add 128 (int .Values.config.isolateMemoryMb)) $slots) }}Mi
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
