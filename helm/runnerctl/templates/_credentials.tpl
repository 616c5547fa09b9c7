{{/* Where each credential comes from. Takes (dict "context" $ "name" "database"). */}}

{{- define "runnerctl.credentialVariable" -}}
{{- get (dict "database" "DATABASE_URL" "broker" "AMQP_URL" "signing" "RUNNER_HMAC_SECRET_KEY" "encryption" "ENCRYPTION_KEY") . -}}
{{- end -}}

{{/* The value of this chart's own Secret; empty where an existing Secret is named. */}}
{{- define "runnerctl.credentialValue" -}}
{{- $values := .context.Values -}}
{{- $credential := get $values.credentials .name -}}
{{- $fullname := include "runnerctl.fullname" .context -}}
{{- if $credential.existingSecret -}}
{{- else if and (eq .name "database") $values.postgresql.enabled -}}
postgresql://runnerctl:{{ required "postgresql.password is required with postgresql.enabled" $values.postgresql.password | urlquery | replace "+" "%20" }}@{{ $fullname }}-postgresql.{{ .context.Release.Namespace }}:5432/runnerctl
{{- else if and (eq .name "broker") $values.rabbitmq.enabled -}}
amqp://runnerctl:{{ required "rabbitmq.password is required with rabbitmq.enabled" $values.rabbitmq.password | urlquery | replace "+" "%20" }}@{{ $fullname }}-rabbitmq.{{ .context.Release.Namespace }}:5672/%2f
{{- else -}}
{{- $given := $credential.url | default $credential.key -}}
{{- required (printf "credentials.%s: a value or existingSecret is required" .name) $given -}}
{{- end -}}
{{- end -}}

{{- define "runnerctl.credentialSecret" -}}
{{- (get .context.Values.credentials .name).existingSecret | default (printf "%s-credentials" (include "runnerctl.fullname" .context)) -}}
{{- end -}}

{{- define "runnerctl.credentialKey" -}}
{{- $credential := get .context.Values.credentials .name -}}
{{- if $credential.existingSecret -}}{{ $credential.existingSecretKey }}{{- else -}}{{ include "runnerctl.credentialVariable" .name }}{{- end -}}
{{- end -}}

{{/* Environment variables. Takes (dict "context" $ "names" (list …) "secret" "" ); `secret` replaces this chart's own Secret. */}}
{{- define "runnerctl.credentialEnv" -}}
{{- $top := . -}}
{{- range .names }}
{{- $scope := dict "context" $top.context "name" . }}
{{- $own := not (get $top.context.Values.credentials .).existingSecret }}
- name: {{ include "runnerctl.credentialVariable" . }}
  valueFrom:
    secretKeyRef:
      name: {{ if and $own $top.secret }}{{ $top.secret }}{{ else }}{{ include "runnerctl.credentialSecret" $scope }}{{ end }}
      key: {{ include "runnerctl.credentialKey" $scope }}
{{- end }}
{{- end -}}

{{/* The data of this chart's own Secret: what no existing Secret holds. */}}
{{- define "runnerctl.credentialData" -}}
{{- $context := . -}}
{{- range $name := list "database" "broker" "signing" "encryption" }}
{{- with include "runnerctl.credentialValue" (dict "context" $context "name" $name) }}
{{ include "runnerctl.credentialVariable" $name }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}
