'use strict';

// What a deployment has to know from AWS, read with the credentials and the region of the Serverless CLI.

const { CloudFormationClient, DescribeStackResourceCommand, DescribeStacksCommand } = require('@aws-sdk/client-cloudformation');
const { DescribeTableCommand, DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { InvokeCommand, LambdaClient } = require('@aws-sdk/client-lambda');
const { ListSubscriptionsByTopicCommand, SNSClient } = require('@aws-sdk/client-sns');

class Aws {
  constructor(provider) {
    this.provider = provider;
  }

  // An existing table: its name, its ARN, and the ARN of the customer managed key that encrypts it.
  async table(name) {
    const { Table } = await this.ask(DynamoDBClient, new DescribeTableCommand({ TableName: name }));
    return { name, arn: Table.TableArn, keyArn: Table.SSEDescription?.KMSMasterKeyArn };
  }

  // Whether the stack's resource with this logical id is this one.
  async owns(LogicalResourceId, physicalId) {
    const StackName = this.provider.naming.getStackName();
    try {
      const command = new DescribeStackResourceCommand({ StackName, LogicalResourceId });
      const { StackResourceDetail } = await this.ask(CloudFormationClient, command);
      return StackResourceDetail.PhysicalResourceId === physicalId;
    } catch (error) {
      if (error.name === 'ValidationError') return false; // there is no such stack, or no such resource in it
      throw error;
    }
  }

  // The outputs of the stack, by name; none if there is no such stack.
  async outputs() {
    const StackName = this.provider.naming.getStackName();
    try {
      const { Stacks } = await this.ask(CloudFormationClient, new DescribeStacksCommand({ StackName }));
      return Object.fromEntries((Stacks[0].Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
    } catch (error) {
      if (error.name === 'ValidationError') return {};
      throw error;
    }
  }

  // The addresses that a topic does not send to: not confirmed yet, or removed by AWS after three days.
  async unconfirmed(TopicArn, addresses) {
    const subscriptions = [];
    let NextToken;
    do {
      const page = await this.ask(SNSClient, new ListSubscriptionsByTopicCommand({ TopicArn, NextToken }));
      subscriptions.push(...(page.Subscriptions ?? []));
      ({ NextToken } = page);
    } while (NextToken);
    const confirmed = subscriptions.filter(({ SubscriptionArn }) => SubscriptionArn?.startsWith('arn:'));
    return addresses.filter((address) => !confirmed.some(({ Endpoint }) => Endpoint === address));
  }

  // What each channel has yet to be sent, as the deployed function says; nothing before the first deployment.
  async owed() {
    const { FunctionName } = await this.outputs();
    if (!FunctionName) return {};
    const Payload = JSON.stringify({ source: 'ecs-alert-router', 'detail-type': 'Router Owed', detail: {} });
    const answer = await this.ask(LambdaClient, new InvokeCommand({ FunctionName, Payload }));
    const { owed, errorMessage } = JSON.parse(Buffer.from(answer.Payload).toString());
    if (!owed) throw new Error(errorMessage ?? 'the deployed function does not know the question');
    return owed;
  }

  async ask(Client, command) {
    return new Client(await this.config()).send(command);
  }

  async config() {
    if (this.provider.getAwsSdkV3Config) return this.provider.getAwsSdkV3Config(); // osls
    const answer = await this.provider.getCredentials();
    const credentials = answer.credentials ?? answer; // Serverless 3 has those of the AWS SDK 2, Serverless 4 the values
    await credentials.getPromise?.();
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    // Without any, the SDK looks in the places that it knows.
    const keys = accessKeyId ? { credentials: { accessKeyId, secretAccessKey, sessionToken } } : {};
    return { region: this.provider.getRegion(), ...keys };
  }
}

module.exports = { Aws };
